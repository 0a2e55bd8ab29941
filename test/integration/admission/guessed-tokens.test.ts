import { randomBytes } from "node:crypto";
import { type Client, createClient, type Interceptor } from "@connectrpc/connect";
import { createConnectTransport } from "@connectrpc/connect-node";
import { Code, Failure, type Stream, StreamClient, StreamServer } from "browser-stream-server";
import { LinkService, RelayService } from "browser-stream-server/gen";
import { logRelay } from "browser-stream-server/server";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { Random } from "../../fakes/traffic/mutations.js";
import { open, openOffer, RawLeg, RawListener, refusal, refused } from "../raw-calls.js";
import { openRelay, type TestRelay } from "../relay-ports.js";
import { until } from "../until.js";

/** GUESSES=1000000 makes as many guesses as a night allows. */
const guesses = Number(process.env.GUESSES ?? 2_000);
/** So many are under way at once. */
const guessers = 32;

let relay: TestRelay;
const lines: Record<string, unknown>[] = [];
const closers: (() => unknown)[] = [];

beforeEach(async () => {
  relay = await openRelay({ trustedProxies: ["127.0.0.1"], limits: { maxCallsPerSecondPerCaller: 2 } });
  closers.push(() => relay.close(), logRelay(relay.proxy, { info: (fields) => lines.push(fields) }));
  lines.splice(0);
  relay.proxy.on("warning", () => {});
});
afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close();
});

/** Clients over one connection, which comes from an address by the word of a proxy, or from this machine. */
function clientsFrom(address?: string) {
  const forwarded: Interceptor = (next) => (request) => {
    if (address !== undefined) request.header.set("x-forwarded-for", address);
    return next(request);
  };
  const transport = createConnectTransport({ baseUrl: relay.url, httpVersion: "2", interceptors: [forwarded] });
  return { relay: createClient(RelayService, transport), links: createClient(LinkService, transport) };
}
type Clients = ReturnType<typeof clientsFrom>;

interface Proof {
  id: string;
  token: string;
}

/** A lease, a stream with two legs, and a link, with the tokens that prove them. */
async function alive({ relay: calls, links }: Clients): Promise<Record<Purpose, Proof>> {
  const listener = new RawListener(calls, "room");
  const lease = await listener.event("registered");
  const client = new RawLeg(calls, "connect", open({ name: "room" }));
  const ofClient = await client.receive("opened");
  const accepting = new RawLeg(calls, "accept", openOffer(await listener.event("offer")));
  const ofListener = await accepting.receive("opened");
  const abort = new AbortController();
  const [link] = [await links.receive({}, { signal: abort.signal })[Symbol.asyncIterator]().next()];
  closers.push(
    () => client.cancel(),
    () => accepting.cancel(),
    () => listener.close(),
    () => abort.abort(),
  );
  return {
    client: { id: ofClient.streamId, token: ofClient.legToken },
    listener: { id: ofListener.streamId, token: ofListener.legToken },
    lease: { id: lease.leaseId, token: lease.leaseToken },
    link: { id: link.value?.opened?.linkId ?? "", token: link.value?.opened?.linkToken ?? "" },
  };
}
type Purpose = "client" | "listener" | "lease" | "link";

/** The calls that take a token of the relay's own, each with the purpose of the token. */
const calls: readonly GuessedCall[] = [
  [
    "Reject",
    "client",
    ({ relay }, { id, token }) => relay.reject({ streamId: id, legToken: token, code: Code.Aborted }),
  ],
  ["Renew of a stream", "client", ({ relay }, { id, token }) => relay.renew({ streamId: id, legToken: token })],
  ["Connect that resumes", "client", ({ relay }, proof) => resuming(relay, "connect", proof)],
  ["Accept that resumes", "listener", ({ relay }, proof) => resuming(relay, "accept", proof)],
  ["Accept", "listener", ({ relay }, proof) => new RawLeg(relay, "accept", openOffer(offerOf(proof))).rest()],
  ["Unlisten", "lease", ({ relay }, { id, token }) => relay.unlisten({ leaseId: id, leaseToken: token })],
  ["Renew of a lease", "lease", ({ relay }, { id, token }) => relay.renew({ leaseId: id, leaseToken: token })],
  ["Listen", "lease", ({ relay }, { id, token }) => relay.listen({ name: "room", leaseId: id, leaseToken: token })],
  ["Send", "link", ({ links }, { id, token }) => links.send({ linkId: id, linkToken: token, sequence: 1n })],
];
type GuessedCall = [
  name: string,
  purpose: Purpose,
  call: (clients: Clients, proof: Proof) => Promise<unknown> | AsyncIterable<unknown>,
];

const offerOf = ({ id, token }: Proof) => ({ streamId: id, legToken: token }) as never;

function resuming(client: Client<typeof RelayService>, rpc: "connect" | "accept", { id, token }: Proof) {
  const resume = { generation: 9, receivedSequence: 0n };
  return new RawLeg(client, rpc, open({ streamId: id, legToken: token, resume })).rest();
}

/** A proof that nobody was given: another id, or another token. */
function guessed(purpose: Purpose, known: Record<Purpose, Proof>, random: Random): Proof {
  const { id, token } = known[purpose];
  const foreign = Object.keys(known).filter((other) => other !== purpose && !(other in legs && purpose in legs));
  const anyId = randomBytes(16).toString("base64url");
  const anyToken = `${anyId}.${randomBytes(32).toString("base64url")}`;
  // Not its last character, some bits of which mean nothing.
  const at = random.below(token.length - 2);
  const changed = `${token.slice(0, at)}${token.charAt(at) === "A" ? "B" : "A"}${token.slice(at + 1)}`;
  const other = known[random.pick(foreign) as Purpose];
  return random.pick([
    { id: anyId, token: anyToken },
    { id: anyId, token },
    { id, token: anyToken },
    { id, token: changed },
    { id, token: other.token },
    { id: other.id, token },
    { id, token: "" },
  ]);
}
const legs = { client: true, listener: true };

/** The number of refusals that the log tells of, with those that had no line of their own. */
const told = () =>
  lines.filter(({ event }) => event === "refused").reduce((sum, { unlogged }) => sum + 1 + Number(unlogged ?? 0), 0);

describe("a caller that guesses ids and tokens", () => {
  test("finds nothing, and disturbs nobody, and each guess is told", { timeout: 60_000 + guesses * 20 }, async () => {
    const clients = clientsFrom();
    const known = await alive(clients);
    const server = StreamServer(relay.origin, (stream) => {
      stream.on("data", (message) => stream.write(message)).on("error", () => {});
    });
    await server.listen("echo").ready;
    const bystander: Stream = StreamClient(relay.origin).connect("echo");
    await bystander.opened;
    // Over many guesses the link by hand, which answers no ping, is lost.
    const held = () => ({ ...relay.proxy.counts, links: undefined, channels: undefined });
    const before = held();
    const random = new Random(5);
    const answers = new Map<string, number>();
    let left = guesses;
    const guess = async () => {
      for (; left > 0; left -= 1) {
        const [, purpose, call] = random.pick(calls);
        const { code, failure } = await refused(call(clients, guessed(purpose, known, random)));
        const answer = `${Code[code]} ${Failure[failure]}`;
        answers.set(answer, (answers.get(answer) ?? 0) + 1);
      }
    };
    await Promise.all(Array.from({ length: guessers }, guess));
    // What is guessed for a lease is looked for by its id.
    expect([...answers.keys()].sort()).toEqual(["NotFound LEASE_GONE", "PermissionDenied TOKEN_INVALID"]);
    expect(held()).toEqual(before);
    const echo = new Promise((resolve) => bystander.once("data", resolve));
    bystander.write("still there?");
    expect(String(await echo)).toBe("still there?");
    let made = [...answers.values()].reduce((sum, count) => sum + count, 0);
    await until(async () => {
      await refused(clients.relay.unlisten({ leaseId: "x", leaseToken: "x" }));
      made += 1;
      return told() === made;
    });
    bystander.destroy();
    await server.end();
  });

  test.each(calls)(
    "has a rate for %s, by its address, and holds back nobody there who has a good token",
    async (_name, purpose, call) => {
      const known = await alive(clientsFrom());
      const [guesser, neighbour] = [clientsFrom("203.0.113.1"), clientsFrom("203.0.113.2")];
      const guess = (clients: Clients) => refused(call(clients, { ...known[purpose], token: "x" }));
      const wrong = refusal(Code.PermissionDenied, Failure.TOKEN_INVALID);
      const answers = [];
      for (let made = 0; made < 30; made += 1) answers.push(await guess(guesser));
      expect(answers[0]).toEqual(wrong);
      expect(answers.at(-1)).toEqual(refusal(Code.ResourceExhausted, Failure.LIMIT_REACHED));
      expect(lines.at(-1)).toMatchObject({
        event: "refused",
        reason: "LIMIT_REACHED",
        caller: { address: "203.0.113.1" },
      });
      expect(await guess(neighbour)).toEqual(wrong);
      await guesser.relay.unlisten({ leaseId: known.lease.id, leaseToken: known.lease.token });
    },
  );
});
