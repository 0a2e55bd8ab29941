import { once } from "node:events";
import { get, type IncomingMessage, type OutgoingHttpHeaders, request } from "node:http";
import { Code, createClient, type Transport } from "@connectrpc/connect";
import { createConnectTransport, createGrpcTransport, Http2SessionManager } from "@connectrpc/connect-node";
import { serve } from "browser-stream-server/http";
import { describe, expect, onTestFinished, test } from "vitest";
import { ChaosProxy } from "../../chaos/network/chaos-proxy.js";
import { EchoService } from "../../contract/service/echo-service.js";
import { Requests, serviceCases } from "../../contract/service/service-cases.js";
import { callService, serveServices } from "../../contract/service/service-contract.js";
import { CommandLine } from "../command-line.js";
import { useFileRelay } from "../file-relay.js";

const relay = useFileRelay();

/** The port that a command opens. The command is interrupted when the test ends, so that its streams are over. */
async function portOf(command: CommandLine): Promise<string> {
  onTestFinished(async () => {
    command.child.kill("SIGINT");
    command.child.stdout.resume();
    expect(await command.exitCode).toBe(130);
  });
  return `http://${/127\.0\.0\.1:\d+/.exec(await command.hasSaid())?.[0]}`;
}

async function serving(name: string): Promise<void> {
  const server = await serveServices(relay.origin, name);
  onTestFinished(() => server.end());
}

/** A transport of gRPC, whose connection ends with the test. */
function grpcTransport(baseUrl: string): Transport {
  const sessionManager = new Http2SessionManager(baseUrl);
  onTestFinished(() => sessionManager.abort());
  return createGrpcTransport({ baseUrl, sessionManager, readMaxBytes: 4_194_304 });
}

/** The status of a port's answer to a GET. */
async function statusOf(port: string, headers: OutgoingHttpHeaders): Promise<number | undefined> {
  const asked = get(`${port}/echo.v1.EchoService/Unary`, { headers, agent: false });
  const [response] = (await once(asked, "response")) as [IncomingMessage];
  response.resume();
  return response.statusCode;
}

describe("bss connect NAME --grpc-port", () => {
  test("has all that a service promises, over gRPC", async () => {
    await serving("service");
    const port = await portOf(relay.command("connect", "service", "--grpc-port", "0"));
    const transport = grpcTransport(port);
    for (const serviceCase of serviceCases) {
      await callService(serviceCase, transport).catch((cause: Error) => {
        throw new Error(`${serviceCase.name}: ${cause.message}`, { cause });
      });
    }
  });

  test("takes calls of Connect over HTTP/1.1, and none of pages", async () => {
    await serving("plain");
    const port = await portOf(relay.command("connect", "plain", "--grpc-port", "0"));
    const transport = createConnectTransport({ baseUrl: port, httpVersion: "1.1", nodeOptions: { agent: false } });
    expect((await createClient(EchoService, transport).unary({ value: "hello" })).value).toBe("hello");
    const given: OutgoingHttpHeaders[] = [
      {},
      { host: `localhost:${new URL(port).port}` },
      { origin: "https://its.example" },
      { "sec-fetch-site": "cross-site" },
      // The GET of a page whose own name was pointed at this machine.
      { host: "its.example" },
    ];
    const statuses = given.map((headers) => statusOf(port, headers));
    expect(await Promise.all(statuses)).toEqual([405, 405, 403, 403, 403]);
  });

  test("gives up a call whose caller has gone before somebody listens", async () => {
    const port = await portOf(relay.command("connect", "late", "--wait", "--grpc-port", "0"));
    const abandoned = request(`${port}/abandoned`, { method: "POST", headers: { expect: "100-continue" } });
    abandoned.on("error", () => {}).flushHeaders();
    await once(abandoned, "continue");
    abandoned.destroy();
    const seen: string[] = [];
    const server = serve(relay.origin, "late", ({ url }) => {
      seen.push(new URL(url).pathname);
      return new Response("");
    });
    onTestFinished(() => server.end());
    expect(await statusOf(port, {})).toBe(200);
    expect(seen).toEqual(["/echo.v1.EchoService/Unary"]);
  });

  test("goes on with a call where the connection to the relay is cut under it", async () => {
    await serving("cut");
    const network = await ChaosProxy.open(Number(new URL(relay.origin).port));
    onTestFinished(() => network.close());
    const command = new CommandLine(["connect", "cut", "--grpc-port", "0"], { BSS_RELAY: network.origin });
    const client = createClient(EchoService, grpcTransport(await portOf(command)));
    const requests = new Requests();
    const responses = client.bidiStream(requests)[Symbol.asyncIterator]();
    for (const [at, value] of ["one", "two", "three", "four"].entries()) {
      requests.push(value);
      if (at > 0) network.cut(at === 1 ? "rst" : "fin");
      expect((await responses.next()).value?.value).toBe(`${value}!`);
    }
    requests.end();
    expect((await responses.next()).value?.value).toBe("after your end");
  });

  test("answers for a name where nobody listens, in words that a client of gRPC shows, and for its listener later", async () => {
    const port = await portOf(relay.command("connect", "later", "--grpc-port", "0"));
    const client = createClient(EchoService, grpcTransport(port));
    await expect(client.unary({})).rejects.toMatchObject({
      code: Code.Unavailable,
      rawMessage: expect.stringContaining('"later"'),
    });
    await serving("later");
    expect((await client.unary({ value: "hello" })).value).toBe("hello");
  });

  test("is not for a TCP port as well", async () => {
    const { code, errorLines } = await relay.command("connect", "both", "--grpc-port", "0", "--port", "0").run();
    expect([code, errorLines[0]]).toEqual([2, expect.stringContaining("--grpc-port")]);
  });
});
