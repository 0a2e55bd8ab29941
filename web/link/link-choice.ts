import { Code } from "@connectrpc/connect";
import { Failure } from "../../gen/streamserver/v1/failure_pb.js";
import { isOfRelay } from "../../stream/error/failure-detail.js";
import { StreamError } from "../../stream/error/stream-error.js";
import type { Clock } from "../../stream/platform/clock.js";
import type { LinkMemory } from "./link-memory.js";
import type { LinkOpener, OpenedLink } from "./opened-link.js";
import { HandshakeError } from "./websocket-link.js";

/** How long a WebSocket may take before fetch is tried beside it: a fetch link is to be there within 3 s. */
export const patienceMs = 2_500;
/**
 * The patience where WebSockets are known to get through. After failures, as when a relay restarts, Firefox holds back
 * each new WebSocket, for about half as long as the relay was away.
 */
const knownPatienceMs = 10_000;
/** How long a WebSocket may take in all, so that a call hears of it within the 20 s that it waits. */
export const webSocketTimeoutMs = 15_000;
/**
 * The first pause between attempts at a WebSocket while a fetch link is used. Each pause is twice as long as the one
 * before.
 */
const minRetryDelayMs = 1_000;
const maxRetryDelayMs = 60_000;

export interface LinkWays {
  openWebSocket: LinkOpener;
  openFetch: LinkOpener;
  memory: LinkMemory;
  clock: Clock;
}

/**
 * Opens WebSocket links, and fetch links where no WebSocket can be had. While a fetch link is open, WebSockets are
 * tried in the background, and the first one that opens is handed to `onBetter`.
 *
 * - Only refusals are remembered: an HTTP status or a browser that allows no WebSocket for ten minutes, and for one
 *   minute two failures in a row while fetch gets through, because a browser does not say why a WebSocket failed.
 *   Timeouts, cuts and a relay that is away are not.
 * - While a refusal is remembered, fetch links are opened at once, as far as they can be had.
 * - Where no link can be had, rejects with what stood in the fetch link's way; or in the WebSocket's, if the fetch link
 *   found no connection left and WebSockets have got through before.
 */
export function chooseLink(ways: LinkWays): LinkOpener {
  const choice = new LinkChoice(ways);
  return (signal, onBetter = ({ link }) => link.closeIfIdle()) => choice.open(signal, onBetter);
}

class LinkChoice {
  readonly #ways: LinkWays;
  #webSockets: "unknown" | "get through" = "unknown";

  constructor(ways: LinkWays) {
    this.#ways = ways;
  }

  async open(signal: AbortSignal, onBetter: (better: OpenedLink) => void): Promise<OpenedLink> {
    const { memory, openFetch } = this.#ways;
    const leftMs = memory.leftMs;
    if (leftMs === 0) return this.#openBest(signal, onBetter);
    try {
      const opened = await openFetch(signal);
      void this.#improve(opened, onBetter, leftMs);
      return opened;
    } catch (reason) {
      if (signal.aborted) throw reason;
      memory.forget();
      return this.#openBest(signal, onBetter);
    }
  }

  async #openBest(signal: AbortSignal, onBetter: (better: OpenedLink) => void): Promise<OpenedLink> {
    const { openWebSocket, openFetch, clock } = this.#ways;
    const untilMs = clock.now() + (this.#webSockets === "unknown" ? patienceMs : knownPatienceMs);
    const socket = new Attempt(openWebSocket, signal);
    const early = await this.#early(socket, untilMs);
    if (early instanceof StreamError) {
      // The relay would say so again.
      if (signal.aborted || isOfRelay(early.failure)) throw early;
    } else if (early !== undefined) return this.#gotThrough(early);
    const fetched = new Attempt(openFetch, signal);
    const first = await Promise.any([socket.opened, fetched.opened]).catch(() => undefined);
    if (first === undefined) {
      signal.throwIfAborted();
      throw this.#telling(await fetched.outcome, await socket.outcome);
    }
    if (first.kind === "websocket") {
      fetched.giveUp();
      return this.#gotThrough(first);
    }
    if (early === undefined) {
      void this.#improve(first, onBetter, 0, socket);
      return first;
    }
    // The WebSocket may have failed because the relay was not there yet. Now that fetch gets through, it is.
    const again = isRefusal(early) ? undefined : new Attempt(openWebSocket, signal);
    const second = again === undefined ? early : await this.#early(again, untilMs);
    if (second !== undefined && !(second instanceof StreamError)) {
      fetched.giveUp();
      return this.#gotThrough(second);
    }
    void this.#improve(
      first,
      onBetter,
      this.#pauseAfter(second, isFailure(early)),
      second === undefined ? again : undefined,
    );
    return first;
  }

  /** How an attempt ended, unless that takes until after `untilMs`. */
  #early(socket: Attempt, untilMs: number): Promise<OpenedLink | StreamError | undefined> {
    const { clock } = this.#ways;
    return new Promise((resolve) => {
      const cancel = clock.after(Math.max(0, untilMs - clock.now()), () => resolve(undefined));
      void socket.outcome.then((outcome) => {
        cancel();
        resolve(outcome);
      });
    });
  }

  /** How long to wait after a WebSocket that was not had, which is remembered if it was refused. */
  #pauseAfter(error: StreamError | undefined, hasFailedBefore: boolean, retryDelayMs = 0): number {
    const { memory } = this.#ways;
    if (error === undefined || !(isRefusal(error) || (hasFailedBefore && isFailure(error)))) return retryDelayMs;
    memory.refuse(isRefusal(error));
    return memory.leftMs;
  }

  #gotThrough(opened: OpenedLink): OpenedLink {
    this.#webSockets = "get through";
    this.#ways.memory.forget();
    return opened;
  }

  #telling(fetchError: unknown, socketError: unknown): unknown {
    const isFull = fetchError instanceof StreamError && fetchError.failure === Failure.LIMIT_REACHED;
    return isFull && this.#webSockets === "get through" ? socketError : fetchError;
  }

  /**
   * Tries WebSockets as long as a fetch link is open, after a pause, or beginning with an attempt that is under way.
   */
  async #improve(
    { link }: OpenedLink,
    onBetter: (better: OpenedLink) => void,
    firstPauseMs: number,
    underWay?: Attempt,
  ): Promise<void> {
    const { openWebSocket, clock } = this.#ways;
    const ended = new AbortController();
    void link.closed.then((reason) => {
      ended.abort(reason);
      underWay?.giveUp();
    });
    let hasFailedBefore = false;
    let retryDelayMs = minRetryDelayMs;
    let pauseMs = firstPauseMs;
    for (let attempt = underWay; ; attempt = undefined) {
      if (attempt === undefined) {
        if (pauseMs > 0) await pause(clock, pauseMs, ended.signal);
        if (!link.isOpen) return;
        attempt = new Attempt(openWebSocket, ended.signal);
      }
      const outcome = await attempt.outcome;
      if (!link.isOpen) return attempt.giveUp();
      if (!(outcome instanceof StreamError)) return onBetter(this.#gotThrough(outcome));
      pauseMs = this.#pauseAfter(outcome, hasFailedBefore, retryDelayMs);
      hasFailedBefore = isFailure(outcome);
      retryDelayMs = Math.min(2 * retryDelayMs, maxRetryDelayMs);
    }
  }
}

/** One try at a link, which can be given up even after it has opened. */
class Attempt {
  readonly opened: Promise<OpenedLink>;
  /** The link, or why there is none. Never rejects. */
  readonly outcome: Promise<OpenedLink | StreamError>;
  readonly #abort = new AbortController();

  constructor(open: LinkOpener, signal: AbortSignal) {
    const onAbort = () => this.#abort.abort(signal.reason);
    signal.addEventListener("abort", onAbort, { once: true });
    if (signal.aborted) onAbort();
    this.opened = open(this.#abort.signal).finally(() => signal.removeEventListener("abort", onAbort));
    this.outcome = this.opened.catch((reason: unknown) => StreamError.from(reason));
  }

  giveUp(): void {
    const reason = new StreamError("another link took its place", { code: Code.Canceled });
    this.#abort.abort(reason);
    void this.opened.then(
      ({ link }) => link.close(reason),
      () => {},
    );
  }
}

function isFailure({ cause }: StreamError): boolean {
  return cause instanceof HandshakeError;
}

function isRefusal({ cause }: StreamError): boolean {
  return cause instanceof HandshakeError && cause.isRefusal;
}

/** Resolves after a while, for which no process stays alive, or when the signal is aborted. */
function pause(clock: Clock, delayMs: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const done = () => {
      cancel();
      signal.removeEventListener("abort", done);
      resolve();
    };
    const cancel = clock.after(delayMs, done, false);
    signal.addEventListener("abort", done, { once: true });
    if (signal.aborted) done();
  });
}
