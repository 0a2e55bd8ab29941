import type { Figures } from "./figures.ts";
import { type History, hasRelayFault } from "./history/history.ts";
import { limits, relayOptions } from "./limits.ts";
import { play } from "./play.ts";
import { ChaosRelay } from "./relay/chaos-relay.ts";
import { LocalRelay } from "./relay/local-relay.ts";

let lastName = 0;

/** Plays a history on a relay that others play on, or on one of its own if it does something to its relay. */
export async function tryHistory(
  history: History,
  figures: Figures,
  shared: ChaosRelay | LocalRelay,
): Promise<string[]> {
  lastName += 1;
  const context = { figures, name: `history ${lastName}` };
  figures.histories += 1;
  if (!hasRelayFault(history)) return play(history, { ...context, relay: shared });
  const relay = await ChaosRelay.start(relayOptions);
  try {
    const problems = await play(history, { ...context, relay });
    return [...problems, ...relay.problems];
  } finally {
    await relay.close();
  }
}

/** Starts the relay of histories that share one. */
export function sharedRelay({ client }: Pick<History, "client">): Promise<ChaosRelay | LocalRelay> {
  return client === "local" ? LocalRelay.start(limits) : ChaosRelay.start(relayOptions);
}

/** Plays a history on relays of its own. */
export async function tryAlone(history: History, figures: Figures): Promise<string[]> {
  const relay = await sharedRelay(history);
  try {
    const problems = await tryHistory(history, figures, relay);
    return [...problems, ...relay.problems];
  } finally {
    await relay.close();
  }
}
