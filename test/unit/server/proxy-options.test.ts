import { runInNewContext } from "node:vm";
import { defaultLimits, StreamServerProxy, serveRelay } from "browser-stream-server/server";
import { describe, expect, test } from "vitest";

const proxyWith = (options: unknown) => StreamServerProxy(options as never);

describe("StreamServerProxy", () => {
  test.each<[unknown, RegExp]>([
    [{ limits: { acceptTimoutMs: 1 } }, /acceptTimoutMs.*acceptTimeoutMs\?/],
    [{ limits: { max_names: 1 } }, /max_names.*maxNames\?/],
    [{ limits: { heartbeat: 1 } }, /heartbeat.*it has maxNameBytes.*heartbeatIntervalMs/],
    [{ orgins: "*" }, /orgins.*origins\?/],
    [{ origin: "*" }, /origin.*origins\?/],
    [{ Prefix: "/x" }, /Prefix.*prefix\?/],
    [{ limit: {} }, /limit.*limits\?/],
    [{ toString: 1 }, /toString/],
    [{ limits: { toString: 1 } }, /toString/],
  ])("%j is refused with a TypeError that names what there is", (options, words) => {
    expect(() => proxyWith(options)).toThrow(
      expect.objectContaining({ name: "TypeError", message: expect.stringMatching(words) }),
    );
  });

  test.each<[unknown, string]>([
    [null, "TypeError"],
    [5, "TypeError"],
    [["/a"], "TypeError"],
    [{ prefix: 5 }, "TypeError"],
    [{ prefix: null }, "TypeError"],
    [{ prefix: ["/a", undefined] }, "TypeError"],
    [{ prefix: [] }, "RangeError"],
    [{ prefix: "a b" }, "RangeError"],
    [{ limits: null }, "TypeError"],
    [{ limits: [] }, "TypeError"],
    [{ limits: { maxNames: "5" } }, "RangeError"],
    [{ limits: { maxNames: null } }, "RangeError"],
    [{ limits: { maxNames: 5n } }, "RangeError"],
    [{ limits: { maxNames: 0 } }, "RangeError"],
    [{ limits: { maxFrameBytes: 4_095 } }, "RangeError"],
    [{ limits: { heartbeatIntervalMs: 2 ** 31 } }, "RangeError"],
    [{ origins: null }, "RangeError"],
    [{ hosts: ["relay.example:8080"] }, "RangeError"],
    [{ gateway: { by: "port" } }, "RangeError"],
    [{ gateway: { by: "host" } }, "RangeError"],
    [{ gateway: { by: "host", host: "*" } }, "RangeError"],
    [{ gateway: { by: "host", host: ["127.0.0.1"] } }, "RangeError"],
    [{ gateway: { by: "host", host: "relay.example:8080" } }, "RangeError"],
    [{ gateway: { by: "path", host: "relay.example" } }, "RangeError"],
    [{ gateway: { by: "path", path: "/x" } }, "TypeError"],
    [{ gateway: { by: "path" }, prefix: "/~/" }, "RangeError"],
    [{ gateway: { by: "path" }, prefix: ["/a", "/~/b"] }, "RangeError"],
    [{ gateway: { by: "host", host: "relay.example" }, prefix: "/~visit" }, "RangeError"],
    [{ gateway: { by: "path", interstitial: "yes" } }, "TypeError"],
    [{ tokenKeys: new Uint8Array(32) }, "TypeError"],
    [{ tokenKeys: null }, "TypeError"],
    [{ authorize: {} as never }, "TypeError"],
    [{ trustedProxies: "10.0.0.1" as never }, "TypeError"],
    [{ trustedProxies: ["10.0.0.0/33"] }, "RangeError"],
    [{ trustedProxies: ["proxy.example"] }, "RangeError"],
    [{ tokenKeys: [null] }, "TypeError"],
    [{ tokenKeys: [] }, "RangeError"],
    [{ tokenKeys: ["a password of more than thirty-two letters, but no bytes"] }, "RangeError"],
    [{ tokenKeys: [Buffer.alloc(31).toString("base64url")] }, "RangeError"],
    [{ tokenKeys: [new Uint8Array(32), new Uint8Array(31)] }, "RangeError"],
    [{ tokenKeys: Array(17).fill(new Uint8Array(32)) }, "RangeError"],
    [{ clock: {} }, "TypeError"],
    [{ clock: null }, "TypeError"],
  ])("%o is refused with a %s", (options, name) => {
    expect(() => proxyWith(options)).toThrow(expect.objectContaining({ name }));
  });

  test("an option or a limit that is undefined has its default", () => {
    const left = {
      prefix: undefined,
      origins: undefined,
      hosts: undefined,
      gateway: undefined,
      limits: undefined,
      tokenKeys: undefined,
      clock: undefined,
    };
    const proxy = proxyWith(left);
    expect([proxy.prefixes, proxy.limits]).toEqual([["/browser-server"], defaultLimits]);
    const limits = { maxNames: 5, acceptTimeoutMs: undefined };
    expect(proxyWith({ limits }).limits).toEqual({ ...defaultLimits, maxNames: 5 });
  });

  test.each<[string, unknown]>([
    ["bytes of another realm", runInNewContext("new Uint8Array(32)")],
    ["base64url", Buffer.alloc(32, 0xfb).toString("base64url")],
    ["base64 with padding", Buffer.alloc(32, 0xfb).toString("base64")],
  ])("takes %s for a token key", (_, key) => {
    proxyWith({ tokenKeys: [key] }).close();
  });

  test("repeats no token key in an error", () => {
    const secret = "c2VjcmV0";
    const refused = () => proxyWith({ tokenKeys: [secret] });
    expect(refused).toThrow(RangeError);
    expect(refused).not.toThrow(secret);
  });

  test.each<[unknown, string]>([
    [null, "TypeError"],
    [10_000, "TypeError"],
    [{ timeout: 1 }, "TypeError"],
    [{ timeoutMs: -1 }, "RangeError"],
    [{ timeoutMs: 0.5 }, "RangeError"],
    [{ timeoutMs: 2 ** 31 }, "RangeError"],
    [{ timeoutMs: "1" }, "RangeError"],
  ])("drain refuses %o with a %s, and the relay stays ready", async (options, name) => {
    const proxy = proxyWith({});
    await expect(proxy.drain(options as never)).rejects.toMatchObject({ name });
    expect(proxy.isReady).toBe(true);
  });

  test("is ready until it is drained or closed", async () => {
    const [drained, closed] = [proxyWith({}), proxyWith({})];
    const draining = drained.drain();
    closed.close();
    expect([drained.isReady, closed.isReady]).toEqual([false, false]);
    await draining;
  });

  test("installs on nothing but a server", () => {
    for (const server of [undefined, {}, 8080]) expect(() => proxyWith({}).install(server as never)).toThrow(TypeError);
  });
});

describe("serveRelay", () => {
  const proxy = StreamServerProxy();

  test.each<[unknown, string]>([
    [undefined, "TypeError"],
    [{ port: 0 }, "TypeError"],
    [{ proxy: {}, port: 0 }, "TypeError"],
    [{ proxy }, "RangeError"],
    [{ proxy, port: "0" }, "RangeError"],
    [{ proxy, port: 65_536 }, "RangeError"],
    [{ proxy, port: 0, fd: 3 }, "RangeError"],
    [{ proxy, host: "::1", fd: 3 }, "RangeError"],
    [{ proxy, fd: -1 }, "RangeError"],
    [{ proxy, port: 0, hostname: "::1" }, "TypeError"],
    [{ proxy, port: 0, host: 5 }, "TypeError"],
    [{ proxy, port: 0, tls: { cert: "x" } }, "TypeError"],
    [{ proxy, port: 0, tls: { cert: "x", key: "y", ca: "z" } }, "TypeError"],
    [{ proxy, port: 0, fallback: "/page" }, "TypeError"],
  ])("%o is refused with a %s", async (options, name) => {
    await expect(serveRelay(options as never)).rejects.toMatchObject({ name });
  });

  test("setTls of a port that speaks no TLS throws a TypeError", async () => {
    const server = await serveRelay({ proxy: StreamServerProxy(), port: 0, host: "127.0.0.1" });
    expect(() => server.setTls({ cert: "x", key: "y" })).toThrow(TypeError);
    await server.close();
  });
});
