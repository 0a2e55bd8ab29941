import { once } from "node:events";
import { type ClientHttp2Session, connect } from "node:http2";
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { Code } from "@connectrpc/connect";
import { StreamServer } from "browser-stream-server";
import { LinkMessageSchema, PacketSchema } from "browser-stream-server/gen";
import { WebSocket } from "ws";
import { linkTraffic, mutatedMessage } from "../../fakes/traffic/link-traffic.ts";
import { Random } from "../../fakes/traffic/mutations.ts";
import { echoName, otherSamples, type RpcSample, relaySamples } from "../../fakes/traffic/rpc-messages.ts";
import { type Attack, type Bounds, mebibyte, type Outcome, type Target } from "../attack.ts";
import { LiveProofs } from "../live-proofs.ts";
import { answerTo, errorIn, mutatedCall, named } from "../wire/mutated-call.ts";

/** Connections at once, calls on one, and how many of those are under way at once. */
const [lanes, callsPerConnection, concurrentCalls] = [4, 1_000, 32];
/** Messages on one link, which most often ends before by one that no client may send. */
const messagesPerLink = 50;
const maxChannel = 1_000_000;
/** A call that is not over by then is left alone, and ends with its connection. */
const answerTimeoutMs = 300;
/** A relay that does not answer to a ping by then has come to harm. */
const pongTimeoutMs = 10_000;
const defaultSeed = 20_261_127;

/** The codes of mistakes in the relay, whatever it was sent. */
const mistakes = new Set(["internal", "unknown", "data_loss", "HTTP 500"]);

const bounds: Bounds = {
  cutOffMs: 600_000,
  peakBytes: 96 * mebibyte,
  heldBytes: 8 * mebibyte,
  roundTripMs: 250,
  turnMs: 250,
};

/** How often each code was answered. */
class Tally {
  readonly #counts = new Map<string, number>();
  readonly #what: string;

  constructor(what: string) {
    this.#what = what;
  }

  /** Throws for a code that tells of a mistake. */
  add(code: string, seed: number): void {
    if (mistakes.has(code)) throw new Error(`the ${this.#what} of seed ${seed} was answered with ${code}`);
    this.#counts.set(code, (this.#counts.get(code) ?? 0) + 1);
  }

  get outcome(): Outcome {
    const counts = [...this.#counts].sort(([, a], [, b]) => b - a);
    return { kind: "endured", note: counts.map(([code, count]) => `${count.toLocaleString("en")} ${code}`).join(", ") };
  }
}

async function openEcho({ port }: Target): Promise<StreamServer> {
  const serve = (stream: NodeJS.ReadWriteStream) => void stream.on("error", () => {}).pipe(stream);
  const server = StreamServer(`http://127.0.0.1:${port}`, (stream) => serve(stream as never)).listen(echoName);
  await server.ready;
  return server;
}

/** Makes calls on a connection, some at once, while `next` gives seeds. */
async function callOn(
  session: ClientHttp2Session,
  next: () => number | undefined,
  samples: () => readonly RpcSample[],
  tally: Tally,
) {
  let left = callsPerConnection;
  const work = async () => {
    while (left > 0 && !session.destroyed && !session.closed) {
      left -= 1;
      const seed = next();
      if (seed === undefined) return;
      tally.add(await answerTo(session, mutatedCall(seed, samples()), answerTimeoutMs), seed);
    }
  };
  await Promise.all(Array.from({ length: concurrentCalls }, work));
}

/** Runs lanes that take seeds in a row, each until there are no more. */
async function inLanes(target: Target, amount: number, work: (next: () => number | undefined) => Promise<void>) {
  const deadlineMs = performance.now() + target.giveUpMs;
  const first = target.seed ?? defaultSeed;
  let taken = 0;
  const next = () => (taken < amount ? first + taken++ : undefined);
  const lane = async () => {
    while (taken < amount) {
      if (performance.now() > deadlineMs) throw new Error(`only ${taken} of ${amount} mutants were tried in time`);
      await work(next);
    }
  };
  try {
    await Promise.all(Array.from({ length: lanes }, lane));
  } catch (cause) {
    throw new Error(`seeds from ${first}, ${taken} mutants so far`, { cause });
  }
}

const pingOfLink = create(PacketSchema, { content: { case: "ping", value: {} } });

/**
 * The codes of resets in a message, with which its sender hears that its channel is over. One that is none is unknown.
 */
function resetCodes(message: Uint8Array): string[] {
  try {
    const { packets } = fromBinary(LinkMessageSchema, message);
    return packets.flatMap(({ content }) =>
      content.case === "reset" ? [Code[content.value.code] === undefined ? "unknown" : named(content.value.code)] : [],
    );
  } catch {
    return [];
  }
}

/** Sends mutated messages on a link of its own, each when the relay has taken the one before. */
async function talkOn(target: Target, next: () => number | undefined, tally: Tally): Promise<void> {
  const path = "/browser-server/streamserver.v1.LinkService/WebSocket";
  const socket = new WebSocket(`ws://127.0.0.1:${target.port}${path}`, "streamserver.v1");
  socket.on("error", () => {});
  const closed = once(socket, "close");
  await once(socket, "open", { signal: AbortSignal.timeout(pongTimeoutMs) });
  const codes: string[] = [];
  /** The codes of the client's own resets, which it hears again, perhaps turns later. */
  const own = new Set<string>();
  let pongs = 0;
  socket.on("message", (data: Buffer) => {
    for (const { channel, content } of fromBinary(LinkMessageSchema, data).packets) {
      if (content.case === "reset") codes.push(named(content.value.code));
      if (content.case === "data") codes.push(errorIn(Buffer.from(content.value).toString("latin1")) ?? "data");
      if (content.case === "pong" && channel === 0) pongs += 1;
    }
  });
  try {
    for (let left = messagesPerLink; left > 0 && socket.readyState === WebSocket.OPEN; left -= 1) {
      const seed = next();
      if (seed === undefined) break;
      const random = new Random(seed);
      // The same mutant has the same channel, whatever came before it.
      const message = mutatedMessage(linkTraffic(1 + (seed % maxChannel), random), random);
      socket.send(message);
      await answered(socket, closed, seed);
      for (const code of resetCodes(message)) own.add(code);
      for (const code of codes.splice(0)) if (!own.has(code)) tally.add(code, seed);
    }
    if (socket.readyState !== WebSocket.OPEN) return;
    socket.send(toBinary(LinkMessageSchema, create(LinkMessageSchema, { packets: [pingOfLink] })));
    const deadlineMs = performance.now() + pongTimeoutMs;
    // The pong of the link goes out in a turn after that of the WebSocket.
    while (pongs === 0 && socket.readyState === WebSocket.OPEN) {
      if (performance.now() > deadlineMs) throw new Error("a link answers no ping any more");
      await answered(socket, closed, 0);
    }
  } finally {
    socket.terminate();
  }
}

/** Resolves when the relay has taken all that was sent, or has ended the link. */
async function answered(socket: WebSocket, closed: Promise<unknown>, seed: number): Promise<void> {
  const over = new AbortController();
  const late = setTimeout(
    () => over.abort(new Error(`the relay is silent after the message of seed ${seed}`)),
    pongTimeoutMs,
  );
  socket.ping(() => {});
  try {
    await Promise.race([once(socket, "pong", { signal: over.signal }), closed]);
  } finally {
    clearTimeout(late);
    over.abort();
  }
}

export const mutants: readonly Attack[] = [
  {
    name: "mutated messages of each RPC",
    about:
      "calls each RPC of each service, by Connect, gRPC and gRPC-Web, in binary and in JSON, with a message that is not quite right",
    bare: undefined,
    amount: { short: 4_000, long: 700_000 },
    expected: "endured",
    bounds,
    async run(target, amount) {
      const echo = await openEcho(target);
      const proofs = new LiveProofs(target);
      const tally = new Tally("call");
      let known: { of: object; samples: RpcSample[] } | undefined;
      const samples = () => {
        const of = proofs.current;
        if (known?.of !== of) known = { of, samples: [...relaySamples(of), ...otherSamples(of)] };
        return known.samples;
      };
      try {
        await inLanes(target, amount, async (next) => {
          const session = connect(`http://127.0.0.1:${target.port}`);
          session.on("error", () => {});
          await once(session, "connect");
          await callOn(session, next, samples, tally);
          session.destroy();
        });
      } finally {
        await proofs.close();
        await echo.end();
      }
      return tally.outcome;
    },
  },
  {
    name: "mutated packets of links",
    about: "sends each kind of packet over a WebSocket, in messages that are not quite right",
    bare: undefined,
    amount: { short: 2_000, long: 300_000 },
    expected: "endured",
    bounds,
    async run(target, amount) {
      const echo = await openEcho(target);
      const tally = new Tally("message");
      try {
        await inLanes(target, amount, (next) => talkOn(target, next, tally));
      } finally {
        await echo.end();
      }
      return tally.outcome;
    },
  },
];
