import { type Client, createClient, type Transport } from "@connectrpc/connect";
import { connectHandler, createStreamTransport } from "browser-stream-server/connect";
import { serve } from "browser-stream-server/http";
import { EchoService } from "./echo-service.js";
import { servedEcho } from "./served-echo.js";
import { type ServiceCase, serviceCases } from "./service-cases.js";

// A page imports `./connect` and Connect's client from the bundle of this module.
export { createClient } from "@connectrpc/connect";
export { connectHandler, createStreamTransport } from "browser-stream-server/connect";

/** A case ends within this time, or fails. */
const deadlineMs = 20_000;

/** Serves all cases. Resolves when they can be called. */
export async function serveServices(relayUrl: string, name: string): Promise<{ end(): Promise<void> }> {
  const server = serve(
    relayUrl,
    name,
    connectHandler((router) => router.service(EchoService, servedEcho), { onError: () => {} }),
  );
  await server.ready;
  return server;
}

/** Plays the caller's part of a case over a transport. Rejects with what the case did not keep. */
export async function callService(serviceCase: ServiceCase, transport: Transport): Promise<void> {
  const client: Client<typeof EchoService> = createClient(EchoService, transport);
  let timer: ReturnType<typeof setTimeout> | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`no end after ${deadlineMs} ms`)), deadlineMs);
  });
  try {
    await Promise.race([serviceCase.call(client, crypto.randomUUID(), transport), late]);
  } finally {
    clearTimeout(timer);
  }
}

/** Plays the caller's part of a case over `createStreamTransport`. Rejects with what the case did not keep. */
export async function callOverStream(serviceCase: ServiceCase, relayUrl: string, name: string): Promise<void> {
  const transport = createStreamTransport(relayUrl, name);
  try {
    await callService(serviceCase, transport);
  } finally {
    await transport.close();
  }
}

/** Plays the caller's part of a case by name: the outcome as a text, which is empty if the case was kept. */
export async function callServiceByName(caseName: string, relayUrl: string, name: string): Promise<string> {
  const serviceCase = serviceCases.find((each) => each.name === caseName);
  if (serviceCase === undefined) return "the contract has no such case";
  return callOverStream(serviceCase, relayUrl, name).then(
    () => "",
    (reason: unknown) => (reason instanceof Error ? reason.message : String(reason)),
  );
}
