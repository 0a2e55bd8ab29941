import { Failure, Hop } from "../../gen/streamserver/v1/failure_pb.js";
import { relayAt, relayLostError } from "../../stream/error/failure-detail.js";
import { StreamError } from "../../stream/error/stream-error.js";

/**
 * Over HTTP/1.1 a browser has six connections to an origin, for all its tabs together. A fetch link keeps one, and all
 * of them need one to send by.
 */
const maxFetchLinks = 5;
const http1 = "http/1.1";

/**
 * Takes one of the places that the tabs of this browser have for fetch links to a relay over HTTP/1.1. Resolves with a
 * function that gives the place back, which the caller must call. Rejects with FAILURE_LIMIT_REACHED of HOP_CALLER when
 * there is none: one more would leave all of them without a way to send. Resolves with undefined where nobody counts:
 * there is no such limit, no Web Locks API (it takes a secure context), or no way to know (of another origin, browsers
 * tell a page nothing of what is spoken).
 */
export async function takeFetchSlot(relayUrl: string): Promise<(() => void) | undefined> {
  const locks = globalThis.navigator?.locks;
  const { origin } = new URL(relayUrl);
  if (locks === undefined || !protocolsOf(origin).includes(http1)) return undefined;
  try {
    for (let slot = 1; slot <= maxFetchLinks; slot += 1) {
      const release = await tryLock(locks, `browser-stream-server: fetch link ${slot} to ${origin}`);
      if (release !== undefined) return release;
    }
  } catch {
    // A page without storage, as in some frames, may not ask for locks.
    return undefined;
  }
  throw noConnectionLeftError();
}

/** The error of a tab that gets no connection for a fetch link. */
export function noConnectionLeftError(): StreamError {
  const message =
    "no connection to the relay is left: over HTTP/1.1 each tab without a WebSocket keeps one of the browser's six. " +
    "Let WebSockets through, or serve HTTP/2. With fewer tabs, the network lets nothing through";
  return new StreamError(message, { failure: Failure.LIMIT_REACHED, hop: Hop.CALLER });
}

/**
 * Why the relay, at a URL where that is known, does not answer. In a browser the request may have had no connection,
 * unless the tab has a place for its link, or only HTTP/2 is known to be spoken.
 */
export function noAnswerError(relayUrl?: string, hasSlot = false): StreamError {
  const protocols = relayUrl === undefined ? [] : protocolsOf(new URL(relayUrl).origin);
  const isHttp2 = protocols.length > 0 && !protocols.includes(http1);
  if (globalThis.location !== undefined && !hasSlot && !isHttp2) return noConnectionLeftError();
  return relayLostError(`${relayAt(relayUrl)} does not answer`);
}

/** Resolves with a function that gives the lock back; with undefined if another tab holds it. */
function tryLock(locks: LockManager, name: string): Promise<(() => void) | undefined> {
  return new Promise((resolve, reject) => {
    const held = (lock: Lock | null) => {
      if (lock === null) return resolve(undefined);
      return new Promise<void>((release) => resolve(release));
    };
    locks.request(name, { ifAvailable: true }, held).catch(reject);
  });
}

/**
 * The protocols that are spoken with an origin. Without TLS browsers speak HTTP/1.1 alone. With TLS, the earlier
 * requests of this page to the origin tell; there may be none.
 */
function protocolsOf(origin: string): string[] {
  if (origin.startsWith("http:")) return [http1];
  return [...performance.getEntriesByType("navigation"), ...performance.getEntriesByType("resource")]
    .filter(({ name }) => name.startsWith(`${origin}/`))
    .map((entry) => (entry as PerformanceResourceTiming).nextHopProtocol)
    .filter((protocol) => protocol !== "");
}
