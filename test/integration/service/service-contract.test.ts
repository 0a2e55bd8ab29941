import { Code, createClient, type Interceptor, type Transport } from "@connectrpc/connect";
import { createTransport as createGrpcTransport } from "@connectrpc/connect/protocol-grpc";
import { createTransport as createGrpcWebTransport } from "@connectrpc/connect/protocol-grpc-web";
import { compressionGzip } from "@connectrpc/connect-node";
import {
  callerKey,
  connectHandler,
  createStreamTransport,
  Failure,
  Hop,
  streamErrorOf,
} from "browser-stream-server/connect";
import { createFetch, type FetchOverStream, serve } from "browser-stream-server/http";
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from "vitest";
import { EchoService } from "../../contract/service/echo-service.js";
import { serviceCases } from "../../contract/service/service-cases.js";
import { callService, serveServices } from "../../contract/service/service-contract.js";
import { holdsNothing, openRelay, type TestRelay } from "../relay-ports.js";
import { fetchClient } from "./fetch-client.js";

test("callerKey has the facts that the relay has verified about who calls", async () => {
  const relay = await openRelay({ authorize: ({ token }) => ({ subject: token }) });
  onTestFinished(() => relay.close());
  const handler = connectHandler((router) =>
    router.service(EchoService, {
      unary: (_request, { values }) => ({ value: values.get(callerKey)?.subject ?? "nobody" }),
    }),
  );
  const server = serve(relay.origin, "who", handler, { token: "server" });
  onTestFinished(() => server.end());
  await server.ready;
  const transport = createStreamTransport(relay.origin, "who", { token: "ann" });
  expect((await createClient(EchoService, transport).unary({})).value).toBe("ann");
  await transport.close();
});

describe("connectHandler in Node", () => {
  let relay: TestRelay;
  let server: Awaited<ReturnType<typeof serveServices>>;

  beforeAll(async () => {
    relay = await openRelay();
    server = await serveServices(relay.origin, "services");
  });

  afterAll(async () => {
    await server?.end();
    await holdsNothing(relay, "links");
    await relay?.close();
  });

  describe("called by createStreamTransport", () => {
    test.each(serviceCases)("$name", async (serviceCase) => {
      const transport = createStreamTransport(relay.origin, "services");
      await callService(serviceCase, transport);
      await transport.close();
    });
  });

  const protocols = [
    { protocol: "gRPC", createTransport: createGrpcTransport, compression: null },
    { protocol: "gRPC-Web, with gzip", createTransport: createGrpcWebTransport, compression: compressionGzip },
  ];
  describe.each(protocols)("called over $protocol", ({ protocol, createTransport, compression }) => {
    function transportOver(fetch: FetchOverStream): Transport {
      return createTransport({
        httpClient: fetchClient(fetch),
        baseUrl: "http://localhost",
        useBinaryFormat: true,
        interceptors: [],
        acceptCompression: compression === null ? [] : [compression],
        sendCompression: compression,
        compressMinBytes: 0,
        readMaxBytes: 4_194_304,
        writeMaxBytes: 8_388_608,
      });
    }

    test.each(serviceCases)("$name", async (serviceCase) => {
      const fetch = createFetch(relay.origin, "services");
      await callService(serviceCase, transportOver(fetch));
      await fetch.close();
    });

    test("an error with large details arrives, or says that they are too large for trailers", async () => {
      const fetch = createFetch(relay.origin, "services");
      const client = createClient(EchoService, transportOver(fetch));
      const expected = protocol === "gRPC" ? Code.ResourceExhausted : Code.FailedPrecondition;
      await expect(client.unary({ value: "fail-at-length" })).rejects.toMatchObject({ code: expected });
      await fetch.close();
    });
  });

  test("a call to a name where nobody listens fails with the failure of its stream", async () => {
    const client = createClient(EchoService, createStreamTransport(relay.origin, "nobody"));
    const error = await client.unary({}).catch((reason: unknown) => reason);
    expect(error).toMatchObject({ name: "ConnectError", code: Code.NotFound });
    expect(streamErrorOf(error)).toMatchObject({ code: Code.NotFound, failure: Failure.NO_SUCH_NAME, hop: Hop.RELAY });
  });

  test("an error of the service is none of the way to it", async () => {
    const transport = createStreamTransport(relay.origin, "services");
    const error = await createClient(EchoService, transport)
      .unary({ value: "fail" })
      .catch((reason: unknown) => reason);
    expect(error).toMatchObject({ code: Code.FailedPrecondition });
    expect(streamErrorOf(error)).toBeUndefined();
    await transport.close();
  });

  test("JSON and interceptors are the transport's to choose", async () => {
    const paths: string[] = [];
    const log: Interceptor = (next) => (request) => {
      paths.push(new URL(request.url).pathname);
      return next(request);
    };
    const options = { interceptors: [log], useBinaryFormat: false };
    const transport = createStreamTransport(relay.origin, "services", options);
    const client = createClient(EchoService, transport);
    expect((await client.unary({ value: "é" })).value).toBe("é");
    expect(paths).toEqual(["/echo.v1.EchoService/Unary"]);
    await transport.close();
  });

  test("a request that is for none of the services is the fallback's, or not found", async () => {
    const fetch = createFetch(relay.origin, "services");
    expect((await fetch("/page")).status).toBe(404);
    await fetch.close();
    const handler = connectHandler(() => {}, { fallback: ({ url }) => new Response(url) });
    const response = await handler(new Request("http://localhost/page"), { caller: undefined });
    expect(await response.text()).toBe("http://localhost/page");
  });
});
