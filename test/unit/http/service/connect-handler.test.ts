import { Code, createClient } from "@connectrpc/connect";
import type { UniversalClientFn } from "@connectrpc/connect/protocol";
import { expect, test } from "vitest";
import { Health } from "../../../../gen/grpc/health/v1/health_pb.js";
import { connectHandler } from "../../../../http/service/connect-handler.js";
import { createRpcTransport, only } from "../../../../link/rpc-transport.js";
import { settled, thrown } from "../../../fakes/outcome.js";

test("connectHandler leaves the time of a call to its deadline", () => {
  expect(connectHandler(() => {}).headTimeoutMs).toBe(Number.POSITIVE_INFINITY);
});

test("connectHandler refuses routes that are no function, and options that it does not have", () => {
  const invalid = { code: Code.InvalidArgument };
  expect(thrown(() => connectHandler({} as never))).toMatchObject(invalid);
  expect(thrown(() => connectHandler(() => {}, { fallback: "/" as never }))).toMatchObject(invalid);
  expect(thrown(() => connectHandler(() => {}, { readMaxByte: 1 } as never))).toMatchObject(invalid);
});

test.each([
  ["application/grpc", "grpc-timeout", "99999999H"],
  ["application/grpc", "grpc-timeout", "35792M"],
  ["application/grpc", "grpc-timeout", "2147484S"],
  ["application/proto", "connect-timeout-ms", "9999999999"],
])("connectHandler of %s waits 24 days for %s %s, which is longer than a timer can", async (type, name, timeout) => {
  let leftMs: number | undefined;
  const handler = connectHandler((router) => {
    router.service(Health, {
      check(_, { timeoutMs }) {
        leftMs = timeoutMs();
        return {};
      },
    });
  });
  const url = "http://localhost/grpc.health.v1.Health/Check";
  const body = type === "application/grpc" ? new Uint8Array(5) : new Uint8Array(0);
  const headers = { "content-type": type, [name]: timeout };
  const response = await handler(new Request(url, { method: "POST", headers, body }), { caller: undefined });
  await response.arrayBuffer();
  expect(leftMs).toBeGreaterThan(2_147_000_000);
  expect(leftMs).toBeLessThanOrEqual(2_147_483_647);
});

test("createRpcTransport waits 24 days for a timeout that is longer than a timer can", async () => {
  let header: Headers | undefined;
  const httpClient: UniversalClientFn = async (request) => {
    header = request.header;
    await settled();
    const [body, trailer] = [only(new Uint8Array(0)), new Headers()];
    return { status: 200, header: new Headers({ "content-type": "application/proto" }), body, trailer };
  };
  const client = createClient(Health, createRpcTransport({ httpClient, baseUrl: "http://localhost" }));
  await client.check({}, { timeoutMs: Number.POSITIVE_INFINITY });
  expect(header?.get("connect-timeout-ms")).toBe("2147483647");
});
