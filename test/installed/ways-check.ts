import { StreamClient } from "browser-stream-server";
import { contract } from "../contract/contract.js";
import { growthOverEcho, maxHeldBytes } from "../contract/held-memory.js";
import { failuresOf, playOver } from "../contract/play.js";
import { type Reach, reachOver } from "../contract/reach.js";
import { openRelay, type TestRelay } from "../integration/relay-ports.js";
import { allWays } from "../integration/ways.js";

/**
 * Plays the stream contract and measures memory over the ways that Node has to a relay, with the package as it is
 * installed in the folder of this program. Prints a line for each failure, and exits with 1 if there is one. Needs
 * `--expose-gc`.
 */
const ways = [
  "a base URL",
  "a WebSocket",
  "Connect over HTTP/2",
  "gRPC over HTTP/2",
  "a link over Connect, binary",
  "a link over gRPC-Web",
] as const;

const { gc } = globalThis;
if (gc === undefined) throw new Error("run it with --expose-gc");
const collectGarbage = () => void gc();

let names = 0;

async function failuresOver(listening: Reach, connecting: Reach): Promise<string[]> {
  const failures: string[] = [];
  for (const contractCase of contract) {
    const name = `name ${++names}`;
    const outcomes = await Promise.all([
      playOver(listening, "listener", contractCase, name),
      playOver(connecting, "client", contractCase, name),
    ]);
    failures.push(...failuresOf(outcomes).map((why) => `${contractCase.name}: ${why}`));
  }
  return failures;
}

function heldTooMuch(bytes: number): string[] {
  if (bytes < maxHeldBytes) return [];
  return [`of 32 MB that went through a stream it still holds ${(bytes / 1e6).toFixed(0)} MB`];
}

async function checkWay(relay: TestRelay, create: (typeof allWays)[(typeof ways)[number]]): Promise<string[]> {
  const way = create(relay.url);
  const reach = reachOver(way.transport);
  const failures = await failuresOver(reach, reach);
  const client = StreamClient(way.transport);
  const held = await growthOverEcho("memory", way.transport, (name) => client.connect(name), collectGarbage);
  way.close();
  return [...failures, ...heldTooMuch(held)];
}

async function checkRelayProcess({ origin, proxy }: TestRelay): Promise<string[]> {
  const listening = reachOver(origin);
  const connecting: Reach = { ...listening, connect: (name, options) => proxy.connect(name, options) };
  const failures = await failuresOver(listening, connecting);
  const held = await growthOverEcho("memory", origin, (name) => proxy.connect(name), collectGarbage);
  return [...failures, ...heldTooMuch(held)];
}

const relay = await openRelay();
const checks: [string, () => Promise<string[]>][] = [
  ...ways.map((way): [string, () => Promise<string[]>] => [`over ${way}`, () => checkWay(relay, allWays[way])]),
  ["from the relay's own process", () => checkRelayProcess(relay)],
];
for (const [way, check] of checks) {
  for (const failure of await check()) {
    console.log(`${way}: ${failure}`);
    process.exitCode = 1;
  }
}
await relay.close();
