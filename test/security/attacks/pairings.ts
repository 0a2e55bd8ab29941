import { randomBytes } from "node:crypto";
import { type Stream, StreamClient, StreamServer } from "browser-stream-server";
import { mintToken, tokenPolicy } from "browser-stream-server/server";
import { type Attack, mebibyte, type Target } from "../attack.ts";
import { Bystander } from "../programs/bystander.ts";
import { ServerProcess } from "../programs/server-process.ts";

/** The secret of a relay under a policy, and of its callers' tokens. */
export const policySecret = randomBytes(32).toString("base64url");

const concurrency = 16;
/** Pairings in a row under the policy, and then without one: what disturbs the machine disturbs both. */
const [guardedInRow, openInRow] = [2_000, 500];
/** The most that a token which was seen before may cost, in microseconds. */
const maxVerifiedUs = 50;

/** Pairs callers at a relay, and counts what that costs it. */
class Pairing {
  readonly #server: ServerProcess;
  readonly #listener: StreamServer;
  readonly #connect: () => Stream;
  #cpuMs = 0;
  #wallMs = 0;
  pairings = 0;

  private constructor(server: ServerProcess, listener: StreamServer, connect: () => Stream) {
    this.#server = server;
    this.#listener = listener;
    this.#connect = connect;
  }

  static async open(server: ServerProcess, token?: string): Promise<Pairing> {
    const origin = `http://127.0.0.1:${server.port}`;
    const listener = StreamServer(origin, { token }, (stream) => {
      stream.on("error", () => {}).resume();
      stream.end();
    }).listen("paired");
    await listener.ready;
    const client = StreamClient(origin, { token });
    return new Pairing(server, listener, () => client.connect("paired"));
  }

  async pair(amount: number): Promise<void> {
    const [cpuMs, wallMs] = [await this.#server.cpuMs(), performance.now()];
    let left = amount;
    const work = async () => {
      while (left > 0) {
        left -= 1;
        const stream = this.#connect();
        stream.end();
        for await (const _ of stream);
      }
    };
    await Promise.all(Array.from({ length: concurrency }, work));
    this.#cpuMs += (await this.#server.cpuMs()) - cpuMs;
    this.#wallMs += performance.now() - wallMs;
    this.pairings += amount;
  }

  /** The relay's time for a pairing, in microseconds. */
  get cpuUs(): number {
    return (1_000 * this.#cpuMs) / this.pairings;
  }

  get perSecond(): number {
    return (1_000 * this.pairings) / this.#wallMs;
  }

  async close(): Promise<void> {
    await this.#listener.end();
  }
}

/** The time of one look at a token that was verified before, in microseconds. */
async function verifiedUs(token: string, amount: number): Promise<number> {
  const policy = tokenPolicy({ secret: policySecret });
  const caller = { origin: "", address: "127.0.0.1", door: "http" } as const;
  const request = { action: "connect", name: "paired", token, caller, metadata: {} } as const;
  await policy(request);
  const startedMs = performance.now();
  for (let look = 0; look < amount; look += 1) {
    if (policy(request) instanceof Promise) throw new Error("a token that was verified is verified again");
  }
  return (1_000 * (performance.now() - startedMs)) / amount;
}

export const pairings: readonly Attack[] = [
  {
    name: "pairings under a policy",
    about: "connects with an access token that was verified before, and ends the stream",
    bare: undefined,
    amount: { short: 500, long: 200_000 },
    expected: "endured",
    bounds: { cutOffMs: 600_000, peakBytes: 48 * mebibyte, heldBytes: 8 * mebibyte, roundTripMs: 250, turnMs: 100 },
    async run({ server }: Target, amount) {
      const token = await mintToken({ secret: policySecret, streams: { paired: ["listen", "connect"] } });
      const openServer = await ServerProcess.start({
        kind: "relay",
        limits: undefined,
        tls: undefined,
        servesAdmin: false,
        secret: undefined,
      });
      const guarded = await Pairing.open(server, token);
      const open = await Pairing.open(openServer);
      // The relay under attack has one too, whose work counts as that of its pairings.
      const bystander = await Bystander.start({ port: openServer.port, isSecure: false, token: undefined });
      try {
        while (guarded.pairings < amount) {
          await guarded.pair(Math.min(guardedInRow, amount - guarded.pairings));
          await open.pair(openInRow);
        }
      } finally {
        await guarded.close();
        await open.close();
        await bystander.end();
        await openServer.end();
      }
      const lookUs = await verifiedUs(token, amount);
      const ratio = (guarded.cpuUs / open.cpuUs).toFixed(2);
      const costs = `${guarded.cpuUs.toFixed(0)} µs of the relay each, ${ratio} of one without a policy`;
      const note = `${guarded.perSecond.toFixed(0)} a second, ${costs}; a token seen before takes ${lookUs.toFixed(1)} µs`;
      const problem = `a token that was verified took ${lookUs.toFixed(1)} µs, and ${maxVerifiedUs} is the most`;
      return { kind: "endured", note, problems: lookUs <= maxVerifiedUs ? [] : [problem] };
    },
  },
];
