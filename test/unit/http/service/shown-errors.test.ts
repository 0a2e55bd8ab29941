import { Code, ConnectError, createClient } from "@connectrpc/connect";
import { createTransport } from "@connectrpc/connect/protocol-connect";
import { expect, test } from "vitest";
import { connectHandler } from "../../../../http/service/connect-handler.js";
import { Deferred } from "../../../../stream/platform/deferred.js";
import { EchoService } from "../../../contract/service/echo-service.js";
import { settled } from "../../../fakes/outcome.js";
import { fetchClient } from "../../../integration/service/fetch-client.js";

/** A client whose calls a handler of this process answers, and the errors that the handler shows. */
function failing(error: unknown) {
  const shown: unknown[] = [];
  const failed = new Deferred<void>();
  const fail = () => {
    failed.resolve();
    throw error;
  };
  const handler = connectHandler(
    (router) =>
      router.service(EchoService, {
        unary: fail,
        async *serverStream(_request, { signal }) {
          yield { value: "" };
          if (error === undefined) await new Promise((resolve) => signal.addEventListener("abort", resolve));
          fail();
        },
      }),
    { onError: (reason, path) => shown.push([reason, path]) },
  );
  const transport = createTransport({
    httpClient: fetchClient(async (url, { body, ...init }) =>
      // A request of Node takes a stream for its body only where it says so.
      handler(new Request(url, { ...init, ...(body && { body, duplex: "half" }) }), { caller: undefined }),
    ),
    baseUrl: "http://localhost",
    useBinaryFormat: true,
    interceptors: [],
    acceptCompression: [],
    sendCompression: null,
    compressMinBytes: 0,
    readMaxBytes: 1_024,
    writeMaxBytes: 1_024,
  });
  return { client: createClient(EchoService, transport), shown, failed: failed.promise };
}

async function codeOf(responses: AsyncIterable<unknown>): Promise<Code | undefined> {
  try {
    for await (const _ of responses);
  } catch (reason) {
    return ConnectError.from(reason).code;
  }
  return undefined;
}

test("connectHandler shows what an implementation throws by mistake, of which the caller hears nothing", async () => {
  const error = new TypeError("secret");
  const { client, shown } = failing(error);
  await expect(client.unary({})).rejects.toMatchObject({ code: Code.Internal, rawMessage: "internal error" });
  expect(await codeOf(client.serverStream({}))).toBe(Code.Internal);
  expect(shown).toEqual([
    [error, "/echo.v1.EchoService/Unary"],
    [error, "/echo.v1.EchoService/ServerStream"],
  ]);
});

test("connectHandler shows no error that an implementation means for its caller", async () => {
  const { client, shown } = failing(new ConnectError("gone", Code.NotFound));
  await expect(client.unary({})).rejects.toMatchObject({ code: Code.NotFound });
  expect(await codeOf(client.serverStream({}))).toBe(Code.NotFound);
  expect(shown).toEqual([]);
});

test("connectHandler shows no error of an implementation whose caller has gone", async () => {
  const { client, shown, failed } = failing(undefined);
  const abort = new AbortController();
  const responses = client.serverStream({}, { signal: abort.signal })[Symbol.asyncIterator]();
  await responses.next();
  responses.next().catch(() => {});
  await settled();
  abort.abort();
  await failed;
  await settled();
  expect(shown).toEqual([]);
});
