import { getCACertificates, setDefaultCACertificates } from "node:tls";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { TrustedProxies } from "../../../server/http/request/trusted-proxies.js";
import { Routes } from "../../../server/routes.js";
import { contract } from "../../contract/contract.js";
import { failuresOf, playOver } from "../../contract/play.js";
import { type Reach, reachOver } from "../../contract/reach.js";
import { newRelay } from "../../fakes/relays.js";
import { holdsNothing, openRelay, selfSigned, type TestRelay } from "../relay-ports.js";
import { allWays, http2Ways, secureWays, type Way } from "../ways.js";

/** The place where a case is played: either party's way to the relay, and a check that nothing is left of the case. */
interface Stage {
  listening: Reach;
  connecting: Reach;
  rests(): Promise<void>;
}

let names = 0;
let relay: TestRelay;
let secureRelay: TestRelay;
const ways: Way[] = [];
const trustedBefore = getCACertificates("default");

beforeAll(async () => {
  const tls = selfSigned();
  setDefaultCACertificates([...trustedBefore, tls.cert]);
  [relay, secureRelay] = await Promise.all([openRelay(), openRelay({ tls })]);
});

afterAll(async () => {
  for (const way of ways) way.close();
  for (const each of [relay, secureRelay]) await holdsNothing(each);
  await Promise.all([relay.close(), secureRelay.close()]);
  setDefaultCACertificates(trustedBefore);
});

function reach(create: (url: string) => Way, { url }: TestRelay): Reach {
  const way = create(url);
  ways.push(way);
  return reachOver(way.transport);
}

/** Plays the whole contract, with each party on either side. */
function playContract(open: () => Stage): void {
  let stage: Stage;

  beforeAll(() => {
    stage = open();
  });

  for (const contractCase of contract) {
    test(contractCase.name, async () => {
      const name = `name ${++names}`;
      const outcomes = await Promise.all([
        playOver(stage.listening, "listener", contractCase, name),
        playOver(stage.connecting, "client", contractCase, name),
      ]);
      expect(failuresOf(outcomes)).toEqual([]);
      await stage.rests();
    });
  }
}

describe.each(Object.entries(allWays))("over %s", (_, create) => {
  const rests = () => holdsNothing(relay, "links");
  const other = () => reach(allWays["a base URL"], relay);

  describe("listening", () => playContract(() => ({ listening: reach(create, relay), connecting: other(), rests })));
  describe("connecting", () => playContract(() => ({ listening: other(), connecting: reach(create, relay), rests })));
});

describe.each(Object.entries(secureWays))("over %s and TLS", (_, create) => {
  playContract(() => {
    const both = reach(create, secureRelay);
    return { listening: both, connecting: both, rests: () => holdsNothing(secureRelay, "links") };
  });
});

describe("from the relay's own process, connecting", () => {
  playContract(() => {
    const listening = reach(http2Ways["Connect over HTTP/2"], relay);
    // Only a client has a place in that process: where one listens, it does so from outside.
    const connecting: Reach = { ...listening, connect: (name, options) => relay.proxy.connect(name, options) };
    return { listening, connecting, rests: () => holdsNothing(relay, "links") };
  });
});

describe("in memory", () => {
  playContract(() => {
    const { relay } = newRelay();
    const routes = new Routes(relay, { prefixes: [""], proxies: new TrustedProxies(), servesAdmin: false });
    const both = reachOver(routes.localTransport);
    const held = () => Object.entries({ ...relay.counts, ...routes.counts }).filter(([, count]) => count !== 0);
    return {
      listening: both,
      connecting: both,
      rests: () => expect.poll(held, { interval: 1 }).toEqual([]),
    };
  });
});
