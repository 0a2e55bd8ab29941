import { create, type DescMessage, type MessageInitShape, toBinary } from "@bufbuild/protobuf";
import { StreamServer } from "browser-stream-server";
import { ConnectRequestSchema, ListenRequestSchema, PacketSchema } from "browser-stream-server/gen";
import { type Attack, type Bounds, mebibyte, type Outcome, type Target } from "../attack.ts";
import { endHeaders, firstHead, frame, preface } from "../wire/http2-frames.ts";
import { RawConnection } from "../wire/raw-connection.ts";
import { linkMessage, openSocket } from "../wire/raw-websocket.ts";

const none = new Uint8Array();
/** Callers that are there at once. */
const concurrency = 32;
const bounds: Bounds = {
  cutOffMs: 300_000,
  heldBytes: 8 * mebibyte,
  peakBytes: 48 * mebibyte,
  roundTripMs: 250,
  turnMs: 100,
};
const base = { bare: "ws", expected: "endured", bounds } as const;

function envelope<D extends DescMessage>(schema: D, init: MessageInitShape<D>): Buffer {
  const body = toBinary(schema, create(schema, init));
  const head = Buffer.alloc(5);
  head.writeUInt32BE(body.byteLength, 1);
  return Buffer.concat([head, body]);
}

const openRequest = (name: string) => envelope(ConnectRequestSchema, { message: { case: "open", value: { name } } });

/** The packets of a call on a link. */
function call(channel: number, method: string, body: Uint8Array, isWhole: boolean) {
  const headers = [{ name: "content-type", value: "application/connect+proto" }];
  const request = { path: `/streamserver.v1.RelayService/${method}`, headers };
  return [
    create(PacketSchema, { channel, content: { case: "request", value: request } }),
    create(PacketSchema, { channel, content: { case: "data", value: body } }),
    ...(isWhole ? [create(PacketSchema, { channel, content: { case: "end", value: {} } })] : []),
  ];
}

/** Has callers come and go, some at once, until there were so many. */
async function comeAndGo(target: Target, amount: number, come: (caller: number) => Promise<RawConnection>) {
  const deadlineMs = performance.now() + target.giveUpMs;
  let next = 0;
  const work = async () => {
    while (next < amount && performance.now() < deadlineMs) {
      next += 1;
      const raw = await come(next);
      // The server has answered something, so that it holds what the caller asked for.
      if (!raw.isClosed) await raw.heard();
      raw.socket.resetAndDestroy();
    }
  };
  await Promise.all(Array.from({ length: concurrency }, work));
  return { kind: "endured" } as Outcome;
}

/** Listens on a name and writes to each client as fast as the stream takes it. Counts the streams that failed. */
async function openPourer(target: Target, name: string) {
  const part = new Uint8Array(65_536);
  const failed = { streams: 0 };
  const server = StreamServer(`http://127.0.0.1:${target.port}`, async (stream) => {
    stream.on("error", () => {});
    const writer = stream.writable.getWriter();
    try {
      for (;;) await writer.write(part);
    } catch {
      failed.streams += 1;
    }
  }).listen(name);
  await server.ready;
  return { server, failed };
}

/** Readers that connect to a listener which writes as fast as it can, grant all credit, and read nothing. */
async function readNothing(target: Target, amount: number): Promise<Outcome> {
  const { server, failed } = await openPourer(target, "pourer");
  const credit = create(PacketSchema, { channel: 1, content: { case: "credit", value: 1_000_000_000n } });
  const all: RawConnection[] = [];
  for (let reader = 0; reader < amount; reader += 1) {
    const raw = await openSocket(target, false);
    await raw.write(linkMessage([...call(1, "Connect", openRequest("pourer"), false), credit]));
    all.push(raw);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
  await new Promise((resolve) => setTimeout(resolve, 2_000));
  const note = `${failed.streams} of ${amount} readers were cut off`;
  for (const raw of all) raw.socket.destroy();
  await server.end();
  return { kind: "endured", note };
}

/** The readers of an attack on a relay with this limit leave several times as much if they may. */
export const smallHeldBytes = 64 * mebibyte;

export const vanishing: readonly Attack[] = [
  {
    ...base,
    name: "callers that vanish from a WebSocket",
    about: "opens a link, claims a name, connects to it, and breaks the connection",
    amount: { short: 500, long: 100_000 },
    run: (target, amount) =>
      comeAndGo(target, amount, async (caller) => {
        const name = `vanishing ${caller}`;
        const raw = await openSocket(target);
        const listen = call(1, "Listen", envelope(ListenRequestSchema, { name }), true);
        await raw.write(linkMessage([...listen, ...call(2, "Connect", openRequest(name), false)]));
        return raw;
      }),
  },
  {
    ...base,
    name: "callers that vanish from HTTP/2",
    about: "opens a connection of HTTP/2, connects to a name with nobody behind it, and breaks the connection",
    bare: "node:http2",
    amount: { short: 500, long: 100_000 },
    run: (target, amount) =>
      comeAndGo(target, amount, async () => {
        const raw = (await RawConnection.open(target)).read();
        const head = frame("headers", 1, endHeaders, firstHead("/streamserver.v1.RelayService/Connect"));
        const data = frame("data", 1, 0, openRequest("nobody"));
        await raw.write(Buffer.concat([preface, frame("settings", 0, 0, none), head, data]));
        return raw;
      }),
  },
  {
    ...base,
    name: "slow readers",
    bare: undefined,
    about: "connects to a listener that writes as fast as it can, grants all credit, and reads nothing",
    amount: { short: 50, long: 1_000 },
    bounds: {
      cutOffMs: 60_000,
      // 512 MiB may wait to be read, in buffers of 1.4 times their size.
      peakBytes: 800 * mebibyte,
      heldBytes: 8 * mebibyte,
      roundTripMs: 250,
      turnMs: 250,
    },
    run: readNothing,
  },
];

export const slowReaders: readonly Attack[] = [
  {
    ...base,
    name: "more slow readers than there is room for",
    bare: undefined,
    about: `does the same at a relay where ${smallHeldBytes / mebibyte} MiB may wait to be read`,
    amount: { short: 400, long: 2_000 },
    bounds: {
      cutOffMs: 120_000,
      // 90 MiB for the connections, as much for the buffers of what waits, and some that were ended a moment ago.
      // Without a limit, 400 readers take more.
      peakBytes: 224 * mebibyte,
      heldBytes: 8 * mebibyte,
      roundTripMs: 250,
      turnMs: 250,
    },
    run: readNothing,
  },
];
