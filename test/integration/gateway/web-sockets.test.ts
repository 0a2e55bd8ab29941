import { once } from "node:events";
import type { IncomingMessage } from "node:http";
import { type AddressInfo, connect as connectTcp, createServer, type Socket } from "node:net";
import { Code, Failure, type Stream, StreamError, StreamServer } from "browser-stream-server";
import { asWebSocket } from "browser-stream-server/websocket";
import { afterEach, describe, expect, test } from "vitest";
import { WebSocket } from "ws";
import { holdsNothing, openRelay, type TestRelay } from "../relay-ports.js";
import { standstill, until } from "../until.js";

let relay: TestRelay;
const ends: (() => Promise<unknown> | unknown)[] = [];

async function opened(options: Parameters<typeof openRelay>[0] = {}): Promise<void> {
  relay = await openRelay({ gateway: { by: "path" }, ...options });
}

afterEach(async () => {
  for (const end of ends.splice(0).reverse()) await end();
  await holdsNothing(relay, "links");
  await relay.close();
});

async function listening(name: string, onStream: (stream: Stream) => unknown, origin = relay.origin): Promise<void> {
  const server = StreamServer(origin, (stream) => {
    stream.on("error", () => {});
    return onStream(stream) as undefined;
  }).listen(name);
  ends.push(() => server.end());
  await server.ready;
}

const url = (path: string) => relay.origin.replace(/^http/, "ws") + path;

function dial(path: string, options: { headers?: Record<string, string>; protocols?: string[] } = {}): WebSocket {
  const { headers, protocols = [] } = options;
  const socket = new WebSocket(url(path), protocols, { headers, perMessageDeflate: true });
  socket.on("error", () => {});
  ends.push(() => socket.terminate());
  return socket;
}

/** The status and the headers with which a request for a WebSocket is answered. */
async function refusal(socket: WebSocket): Promise<[status: number | undefined, error: unknown]> {
  const [request, answer] = (await once(socket, "unexpected-response")) as [{ destroy(): void }, IncomingMessage];
  request.destroy();
  return [answer.statusCode, answer.headers["stream-error"]];
}

function closeLater(stream: Stream): void {
  const socket = asWebSocket(stream);
  socket.on("open", () => socket.close(4001, "mine"));
}

async function closure(socket: WebSocket): Promise<[code: number, reason: string]> {
  const [code, reason] = (await once(socket, "close")) as [number, Buffer];
  return [code, reason.toString()];
}

/** A stream as its listener gets it, when a client has come. */
async function pair(path = "/~/name/", options?: Parameters<typeof dial>[1]): Promise<[WebSocket, Stream]> {
  const came = new Promise<Stream>((resolve) => void listening("name", resolve).then(() => {}));
  await until(() => relay.proxy.counts.leases === 1);
  const socket = dial(path, options);
  const stream = await came;
  stream.resume();
  await once(socket, "open");
  return [socket, stream];
}

describe("a WebSocket through the gateway", () => {
  test("carries text and binary messages apart, each way, and ends as the client closes", async () => {
    await opened();
    await listening("echo", (stream) => {
      stream.on("data", (message) => stream.write(message));
      stream.on("end", () => stream.end());
    });
    // Clients of WebSockets follow no redirect, so the slash may be missing.
    const socket = dial("/~/echo");
    const received: unknown[] = [];
    socket.on("message", (data: Buffer, isBinary) => received.push(isBinary ? [...data] : data.toString()));
    await once(socket, "open");
    for (const message of ["hello", "", "é€", new Uint8Array([1, 2, 3])]) socket.send(message);
    await until(() => received.length === 4);
    expect(received).toEqual(["hello", "", "é€", [1, 2, 3]]);
    expect(socket.extensions).toBe("");
    socket.close(1000);
    expect((await closure(socket))[0]).toBe(1000);
  });

  test("has the path, the headers and the subprotocols of the request as its metadata", async () => {
    await opened();
    const headers = { cookie: "a=1", "X-Mine": "1", "x-forwarded-for": "192.0.2.1", authorization: "Bearer mine" };
    const [socket, stream] = await pair("/~/name/a%20b?c=%2F", { headers, protocols: ["best", "other"] });
    expect(socket.protocol).toBe("best");
    expect(stream.metadata).toEqual({
      protocol: "websocket",
      path: "/a%20b?c=%2F",
      host: new URL(relay.origin).host,
      "x-forwarded-prefix": "/~/name",
      "x-forwarded-proto": "http",
      "x-mine": "1",
      authorization: "Bearer mine",
      "sec-websocket-protocol": "best,other",
    });
  });

  test("comes to the name in the host, with its cookies", async () => {
    await opened({ gateway: { by: "host", host: "relay.example" } });
    const came = new Promise<Stream>((resolve) => void listening("name", resolve));
    await until(() => relay.proxy.counts.leases === 1);
    const socket = dial("/browser-server/a", { headers: { host: "name.relay.example", cookie: "a=1" } });
    const stream = await came;
    stream.resume();
    await once(socket, "open");
    expect(stream.metadata).toMatchObject({ path: "/browser-server/a", host: "name.relay.example", cookie: "a=1" });
  });

  test("is refused with the status of the failure, before it is one", async () => {
    await opened({ limits: { acceptTimeoutMs: 50, maxMetadataBytes: 1_000 } });
    await listening("declining", (stream) => stream.reject(Code.PermissionDenied, "no"));
    await listening("silent", () => new Promise(() => {}));
    const asked: [string, Record<string, string>, number, string][] = [
      ["/~/nobody/", {}, 503, "failure=no_such_name, hop=relay, code=not_found"],
      ["/~/declining/", {}, 403, "failure=declined, hop=peer, code=permission_denied"],
      ["/~/silent/", {}, 504, "failure=not_accepted_in_time, hop=peer, code=deadline_exceeded"],
      ["/~/silent/", { large: "x".repeat(1_000) }, 431, "failure=frame_too_large, hop=caller, code=resource_exhausted"],
    ];
    for (const [path, headers, status, error] of asked) {
      const [answered, told] = await refusal(dial(path, { headers }));
      expect([path, answered, String(told).replace(/, id=.*/, "")]).toEqual([path, status, error]);
    }
    expect((await refusal(dial("/~/a/../b/")))[0]).toBe(503);
  });

  test("is let in by the bearer token, which the listener does not get", async () => {
    await opened({
      authorize({ action, token }) {
        if (action === "listen") return {};
        if (token !== "good") throw new StreamError("who are you?", { code: Code.Unauthenticated });
        return { subject: "ann" };
      },
    });
    await listening("none", () => {});
    expect((await refusal(dial("/~/none/")))[0]).toBe(401);
    const [, stream] = await pair("/~/name/", { headers: { authorization: "Bearer good" } });
    expect([stream.caller?.subject, stream.metadata.authorization]).toEqual(["ann", undefined]);
  });

  test("ends as its stream does, with a code and a reason", async () => {
    await opened();
    const endings: [(stream: Stream) => unknown, number, string][] = [
      [(stream) => stream.end("bye"), 1000, ""],
      [(stream) => stream.destroy(new StreamError("no", { code: Code.PermissionDenied })), 1008, "no"],
      [(stream) => stream.destroy(new StreamError("full", { code: Code.ResourceExhausted })), 1013, "full"],
      [(stream) => stream.destroy(new Error("broken")), 1011, "broken"],
      [closeLater, 4001, "mine"],
    ];
    let end: (stream: Stream) => unknown = () => {};
    await listening("name", (stream) => {
      stream.write("hello");
      void stream.opened.then(() => end(stream));
    });
    for (const [ending, code, reason] of endings) {
      end = ending;
      expect(await closure(dial("/~/name/"))).toEqual([code, reason]);
    }
  });

  test("ends its stream as the client closes it", async () => {
    await opened();
    const [left, leftStream] = await pair();
    const received: unknown[] = [];
    leftStream.pause();
    // More than the window of the listener, and less than makes the gateway stop the client.
    for (let count = 0; count < 34; count += 1) left.send(new Uint8Array(65_536));
    left.close(4002, "mine");
    await closure(left);
    leftStream.on("data", (message) => received.push(message.length));
    const error = await leftStream.closed.catch((reason: StreamError) => reason);
    expect(received).toHaveLength(34);
    expect([(error as StreamError).code, (error as StreamError).message]).toEqual([
      Code.Aborted,
      "the WebSocket was closed with 4002: mine",
    ]);
  });

  test("tells the listener of a connection that was lost, and of a message that is too large", async () => {
    await opened();
    const failures: unknown[] = [];
    await listening("name", (stream) => {
      stream.resume();
      stream.closed.catch(({ failure }: StreamError) => failures.push(failure));
    });
    const lost = dial("/~/name/");
    await once(lost, "open");
    lost.terminate();
    await until(() => failures.length === 1);
    const large = dial("/~/name/");
    await once(large, "open");
    large.send(new Uint8Array(1_048_577));
    expect((await closure(large))[0]).toBe(1009);
    await until(() => failures.length === 2);
    expect(failures).toEqual([Failure.LEG_LOST, Failure.MESSAGE_TOO_LARGE]);
  });

  test("stops a listener whose client does not read, and loses nothing", async () => {
    // The client answers no ping meanwhile.
    await opened({ limits: { heartbeatIntervalMs: 100 } });
    const [socket, stream] = await pair();
    socket.pause();
    const message = new Uint8Array(65_536);
    const total = 400;
    let written = 0;
    const fill = (): void => {
      while (written < total) {
        written += 1;
        message[0] = written % 256;
        if (!stream.write(message.slice())) return void stream.once("drain", fill);
      }
      stream.end();
    };
    fill();
    await standstill(() => written);
    expect(written).toBeLessThan(total);
    let received = 0;
    socket.on("message", (data: Buffer) => {
      received += 1;
      if (data[0] !== received % 256) throw new Error(`message ${received} is another one`);
    });
    socket.resume();
    expect((await closure(socket))[0]).toBe(1000);
    expect(received).toBe(total);
  });

  test("stops a client whose listener does not read, and loses nothing", async () => {
    await opened();
    const [socket, stream] = await pair();
    stream.pause();
    const total = 400;
    let sent = 0;
    for (let count = 1; count <= total; count += 1) {
      const message = new Uint8Array(65_536);
      message[0] = count % 256;
      socket.send(message, () => {
        sent += 1;
      });
    }
    socket.close(1000);
    await standstill(() => sent);
    expect(sent).toBeLessThan(total);
    let received = 0;
    stream.on("data", (data) => {
      received += 1;
      if ((data as Uint8Array)[0] !== received % 256) throw new Error(`message ${received} is another one`);
    });
    await once(stream as never, "end");
    expect(received).toBe(total);
    stream.end();
  });

  test("loses nothing when the connection of the listener is cut", async () => {
    await opened();
    const way = await openWay(relay.origin);
    const echoes: string[] = [];
    await listening("name", (stream) => void stream.on("data", (message) => stream.write(message)), way.origin);
    const socket = dial("/~/name/");
    socket.on("message", (data: Buffer) => echoes.push(data.toString()));
    await once(socket, "open");
    const sent = Array.from({ length: 300 }, (_, index) => String(index));
    for (const [index, message] of sent.entries()) {
      socket.send(message);
      if (index % 100 === 50) {
        await until(() => echoes.length > index - 50);
        way.cut();
      }
    }
    await until(() => echoes.length === sent.length);
    expect(echoes).toEqual(sent);
    expect(way.cuts).toBeGreaterThan(2);
  });

  test("is closed with 1001 when the relay drains, and when the listener does not come back it fails", async () => {
    await opened({ limits: { graceMs: 50 } });
    const way = await openWay(relay.origin);
    await listening("gone", (stream) => stream.write("hello"), way.origin);
    const socket = dial("/~/gone/");
    await once(socket, "message");
    await way.close();
    expect((await closure(socket))[0]).toBe(1014);
    const [open, stream] = await pair();
    const ended = once(stream as never, "end").then(() => stream.end());
    const drained = relay.proxy.drain();
    expect((await closure(open))[0]).toBe(1001);
    await Promise.all([ended, drained]);
  });

  test("is cut off when the client sends what has no use without end", async () => {
    await opened();
    const warned = once(relay.proxy, "warning");
    const [socket, stream] = await pair();
    const flood = (): void => {
      if (socket.readyState !== socket.OPEN) return;
      // `ws` itself cuts off a client that does not read the answers to its pings.
      for (let count = 0; count < 500; count += 1) socket.pong();
      setImmediate(flood);
    };
    flood();
    await closure(socket);
    expect(((await warned)[0] as { kind: string }).kind).toBe("caller-cut-off");
    await stream.closed.catch(() => {});
  });

  test("is cut off when the client takes nothing of what waits for it any more", async () => {
    await opened({ limits: { heartbeatIntervalMs: 10 } });
    const [socket, stream] = await pair();
    socket.pause();
    const message = new Uint8Array(65_536);
    const fill = (): void => {
      while (stream.write(message));
      stream.once("drain", fill);
    };
    fill();
    const error = await stream.closed.catch((reason: StreamError) => reason);
    expect((error as StreamError).failure).toBe(Failure.LEG_LOST);
  });

  test("fails where the listener sends text that is none", async () => {
    await opened();
    const codec = { encode: (data: Uint8Array<ArrayBuffer>) => ({ data, text: true }), decode: () => new Uint8Array() };
    const server = StreamServer(relay.origin, { codec }, (stream) => {
      stream.on("error", () => {});
      stream.write(new Uint8Array([0xff]));
    }).listen("name");
    ends.push(() => server.end());
    await server.ready;
    expect((await closure(dial("/~/name/")))[0]).toBe(1002);
  });

  test("takes its offer back when the client goes before the listener has decided", async () => {
    await opened();
    await listening("silent", () => new Promise(() => {}));
    const socket = dial("/~/silent/");
    await until(() => relay.proxy.counts.offers === 1);
    socket.terminate();
    await until(() => relay.proxy.counts.offers === 0);
  });

  test("is refused where the host may be another's, which a page has for its own", async () => {
    await opened({ hosts: ["127.0.0.1"] });
    const warned = once(relay.proxy, "warning");
    const headers = { host: "rebound.example", origin: "http://rebound.example" };
    expect((await refusal(dial("/~/name/", { headers })))[0]).toBe(403);
    expect(((await warned)[0] as { kind: string }).kind).toBe("host-refused");
  });

  test("is cut off when the client does not answer pings any more", async () => {
    await opened({ limits: { heartbeatIntervalMs: 50 } });
    let stream: Stream | undefined;
    await listening("name", (given) => {
      stream = given.resume();
    });
    const { port, host } = new URL(relay.origin);
    const raw = connectTcp(Number(port), "127.0.0.1");
    ends.push(() => raw.destroy());
    raw.write(
      `GET /~/name/ HTTP/1.1\r\nHost: ${host}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n` +
        "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n",
    );
    raw.resume();
    await once(raw, "close");
    await until(() => stream?.state === "failed");
  });

  test("is refused where the handshake is none, and an upgrade to anything else is ignored", async () => {
    await opened();
    const { host, port } = new URL(relay.origin);
    const ask = async (lines: string) => {
      const raw = connectTcp(Number(port), "127.0.0.1").setEncoding("latin1");
      raw.write(`${lines}\r\nHost: ${host}\r\n\r\n`);
      let text = "";
      for await (const chunk of raw) text += chunk;
      return Number(/^HTTP\/1.1 (\d+)/.exec(text)?.[1]);
    };
    const upgrade = "Connection: upgrade, close\r\nUpgrade: ";
    expect(await ask(`GET /~/name/ HTTP/1.1\r\n${upgrade}websocket`)).toBe(400);
    expect(await ask(`POST /~/name/ HTTP/1.1\r\n${upgrade}websocket`)).toBe(405);
    expect(await ask(`GET /~/name/ HTTP/1.1\r\n${upgrade}h2c`)).toBe(503);
  });
});

/** A way to a relay that can be cut. */
async function openWay(origin: string) {
  const taken = new Set<Socket>();
  let cuts = 0;
  const server = createServer((near) => {
    const far = connectTcp(Number(new URL(origin).port), "127.0.0.1");
    for (const socket of [near, far]) {
      taken.add(socket);
      socket
        .on("error", () => {})
        .on("close", () => {
          taken.delete(socket);
          near.destroy();
          far.destroy();
        });
    }
    near.pipe(far).pipe(near);
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const cut = () => {
    cuts += 1;
    for (const socket of taken) socket.destroy();
  };
  const close = async () => {
    cut();
    if (server.listening) await new Promise((resolve) => server.close(resolve));
  };
  ends.push(close);
  return {
    origin: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    get cuts() {
      return cuts;
    },
    cut,
    close,
  };
}
