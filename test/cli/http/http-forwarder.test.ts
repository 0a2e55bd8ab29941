import { spawn } from "node:child_process";
import { once } from "node:events";
import { createServer } from "node:http";
import { type AddressInfo, connect, createServer as createTcpServer, type Server, type Socket } from "node:net";
import { text } from "node:stream/consumers";
import { setTimeout } from "node:timers/promises";
import { describe, expect, onTestFinished, test, vi } from "vitest";
import { HttpForwarder, type UnreachableError } from "../../../cli/http/http-forwarder.js";
import { keepTrailers } from "../../../http/message/trailers.js";

/** A connection of this machine is there at once, or not at all. */
const fullAfterMs = 500;

/** Resolves with a port whose program stands still, and whose queue of connections is full. */
async function fullPort(): Promise<number> {
  const program = `require("node:net").createServer().listen({ port: 0, host: "127.0.0.1", backlog: 1 }, function () {
    console.log(this.address().port);
  })`;
  const child = spawn(process.execPath, ["-e", program], { stdio: ["ignore", "pipe", "inherit"] });
  onTestFinished(async () => {
    child.kill("SIGKILL");
    await once(child, "close");
  });
  const port = Number(String((await once(child.stdout, "data"))[0]));
  child.kill("SIGSTOP");
  for (;;) {
    const socket = connect(port, "127.0.0.1").on("error", () => {});
    onTestFinished(() => void socket.destroy());
    const isThere = await Promise.race([once(socket, "connect").then(() => true), setTimeout(fullAfterMs, false)]);
    if (!isThere) return port;
  }
}

async function turns(count: number): Promise<void> {
  for (let at = 0; at < count; at += 1) await new Promise((resolve) => setImmediate(resolve));
}

test("HttpForwarder answers 504 for a server that takes no connection within 8 s", async () => {
  const port = await fullPort();
  vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] });
  onTestFinished(() => void vi.useRealTimers());
  const reached: (UnreachableError | undefined)[] = [];
  const target = { host: "127.0.0.1", port, authority: `127.0.0.1:${port}` };
  const forwarder = new HttpForwarder(target, (error) => reached.push(error));
  onTestFinished(() => forwarder.close());
  let answer: Response | undefined;
  const answered = forwarder.forward(new Request("http://host/")).then((response) => {
    answer = response;
  });
  await turns(100);
  vi.advanceTimersByTime(7_999);
  await turns(100);
  expect(answer).toBeUndefined();
  vi.advanceTimersByTime(1);
  await answered;
  expect(answer?.status).toBe(504);
  expect(reached).toEqual([expect.objectContaining({ isTimeout: true })]);
});

/** A forwarder to a server, and what it has told of reaching it. */
async function forwarderTo(server: Server) {
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  const target = { host: "127.0.0.1", port, authority: `127.0.0.1:${port}` };
  const reached: boolean[] = [];
  const forwarder = new HttpForwarder(target, (error) => reached.push(error === undefined));
  onTestFinished(() => {
    server.close();
    forwarder.close();
  });
  const fetch = (init: RequestInit & { duplex?: "half" }, trailers: Record<string, string> = {}) => {
    const request = new Request("http://host/", init);
    keepTrailers(request, { trailers: Promise.resolve(new Headers(trailers)) });
    return forwarder.forward(request);
  };
  return { fetch, reached };
}

/** A server that does with each request of a connection what is given, from the first on, and counts connections. */
function scripted(...actions: ((socket: Socket) => unknown)[]) {
  const seen = { connections: 0 };
  const server = createTcpServer((socket) => {
    seen.connections += 1;
    const left = [...actions];
    socket.on("error", () => {}).on("data", () => left.shift()?.(socket));
  });
  return { server, seen };
}

const answer = (socket: Socket) => socket.write("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n");
const reset = (socket: Socket) => socket.resetAndDestroy();

describe("HttpForwarder, where a kept connection ends,", () => {
  test.each(["GET", "HEAD"])("makes a %s again", async (method) => {
    const { server, seen } = scripted(answer, reset);
    const { fetch } = await forwarderTo(server);
    await (await fetch({ method })).text();
    expect((await fetch({ method })).status).toBe(200);
    expect(seen.connections).toBe(2);
  });

  test("does not repeat a POST without a body, which may have been done", async () => {
    const { server, seen } = scripted(answer, reset);
    const { fetch } = await forwarderTo(server);
    await (await fetch({ method: "POST" })).text();
    expect((await fetch({ method: "POST" })).status).toBe(502);
    expect(seen.connections).toBe(1);
  });
});

describe("HttpForwarder", () => {
  test("announces trailers only where it sends some, and sends none that HTTP does not know", async () => {
    const server = createServer(async (request, response) => {
      await text(request);
      response.end(JSON.stringify([request.headers.trailer ?? "", request.trailers]));
    });
    const { fetch, reached } = await forwarderTo(server);
    const headers = { trailer: "a" };
    expect(await (await fetch({ headers })).json()).toEqual(["", {}]);
    const whole = { method: "POST", body: "hello", headers: { ...headers, "content-length": "5" } };
    expect(await (await fetch(whole, { a: "1" })).json()).toEqual(["", {}]);
    const chunked = { method: "POST", body: new Blob(["hello"]).stream(), duplex: "half" as const, headers };
    expect(await (await fetch(chunked, { a: "1", b: "\x01" })).json()).toEqual(["a", { a: "1" }]);
    expect(reached).toEqual([true, true, true]);
  });

  test("answers 400 for a header that HTTP/1.1 cannot have, and does not blame the server", async () => {
    const { server, seen } = scripted(answer);
    const { fetch, reached } = await forwarderTo(server);
    expect((await fetch({ headers: { a: "b\x01c" } })).status).toBe(400);
    expect([reached, seen.connections]).toEqual([[], 0]);
  });

  test("answers 502 for a server that switches to another protocol", async () => {
    const { server } = scripted((socket) => {
      socket.write("HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: x\r\n\r\n");
    });
    const { fetch, reached } = await forwarderTo(server);
    expect((await fetch({})).status).toBe(502);
    expect(reached).toEqual([false]);
  });
});
