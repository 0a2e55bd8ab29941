import { connectHandler } from "browser-stream-server/connect";
import { serve } from "browser-stream-server/http";
import { conformanceRegistry, conformanceService } from "./conformance-service.js";
import { ConformanceService } from "./gen/connectrpc/conformance/v1/service_pb.js";

/** The suite's own limit for the messages of a server. */
export const messageReceiveLimitBytes = 204_800;

/** Serves the service of the conformance suite, in Node or in a tab. Resolves when it can be called. */
export async function serveConformance(relayUrl: string, name: string): Promise<{ end(): Promise<void> }> {
  const server = serve(
    relayUrl,
    name,
    connectHandler((router) => router.service(ConformanceService, conformanceService), {
      readMaxBytes: messageReceiveLimitBytes,
      jsonOptions: { registry: conformanceRegistry },
      onError: () => {},
    }),
  );
  await server.ready;
  return server;
}
