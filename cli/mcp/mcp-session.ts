import { setTimeout as pause } from "node:timers/promises";
import type { JsonRpcMessage } from "../../mcp/json-rpc.js";
import { Condition, Deferred } from "../../stream/platform/deferred.js";
import { systemClock } from "../../stream/platform/system-clock.js";
import { Code, Failure, Hop, StreamError } from "../../web/node.js";
import { notice, wordsFor } from "../terminal/notice.js";
import { shellWord } from "../terminal/shell-word.js";
import { ClientHandshake, type Greeting } from "./client-handshake.js";
import { failedResponse } from "./failed-response.js";
import { listChanges, withListChanges } from "./list-changes.js";
import { type JsonRpcText, type McpTab, type McpTabInit, readMessage } from "./mcp-tab.js";
import { WaitingMessages } from "./waiting-messages.js";

/** The id of the request by which a tab that came back is initialized. The client's own ids are its own to choose. */
const greetingId = "bss initialize";
/** A tab that came back has this long to answer it. */
const greetingTimeoutMs = 30_000;
/** Requests of either end that are not answered, and messages that wait for the tab. */
const maxMessages = 1_000;
/** The first and the longest pause before a tab is tried again that was not reached, or lost. */
const pauseMs = { first: 250, longest: 5_000 };
/** After the end of its input, the client has this long to get the responses that it waits for. */
const lastResponsesTimeoutMs = 30_000;

/** Codes of failures that pass: the tab, or the relay, is away. */
const passingCodes: ReadonlySet<Code> = new Set([
  Code.Unavailable,
  Code.NotFound,
  Code.Canceled,
  Code.Aborted,
  Code.DeadlineExceeded,
  Code.ResourceExhausted,
]);

export interface McpSessionInit {
  name: string;
  /** Opens a session with the tab, for which it waits a while. */
  openTab: (init: McpTabInit) => Promise<McpTab>;
  /** Hands a message to the client. */
  tell: (text: string) => Promise<void>;
  /** How long a message waits for a tab that is away, in milliseconds. */
  waitMs: number;
  /** Ends what waits. Its reason is what `run` rejects with. */
  signal: AbortSignal;
}

type State =
  /** The first tab is tried, which ends the session if it does not come in time. */
  | { kind: "expected" }
  | { kind: "away" }
  /** The tab is there, and gets what has waited for it before anything newer. */
  | { kind: "arriving"; tab: McpTab }
  | { kind: "open"; tab: McpTab }
  | { kind: "over" };

/**
 * One session of a client of MCP, over the sessions of a tab that may be reloaded meanwhile. A tab that comes back is
 * initialized as the first one was. Requests that it has lost are answered with an error.
 */
export class McpSession {
  readonly #init: McpSessionInit;
  readonly #broken = new Deferred<never>();
  readonly #changed = new Condition();
  /** Messages of the client for the tab that comes, at most {@link maxMessages}. */
  readonly #waiting: WaitingMessages;
  /** The client's requests that the tab has not answered. */
  readonly #asked = new Map<string | number, JsonRpcText>();
  /** The ids of the tab's requests that the client has not answered. */
  readonly #askedByTab = new Set<string | number>();
  readonly #handshake = new ClientHandshake();
  /** The response of a tab that came back. */
  #greeted: Deferred<JsonRpcMessage> | undefined;
  #failures = 0;
  /** Why the tab was not reached, which is told to messages that have waited in vain. */
  #unreached: StreamError;
  #state: State = { kind: "expected" };

  constructor(init: McpSessionInit) {
    this.#init = init;
    this.#unreached = this.#nobodyError();
    this.#waiting = new WaitingMessages(init.waitMs, (given) => void this.#giveUp(given, this.#unreached));
  }

  /**
   * Resolves when the client has ended its input and has its responses. Rejects with the `StreamError` for which the
   * tab was not reached at first, or cannot be reached again; with the reason of the signal; and with why the client
   * cannot be read or written.
   */
  async run(lines: AsyncIterable<string>): Promise<void> {
    const { signal } = this.#init;
    const onAbort = () => this.#broken.reject(signal.reason);
    signal.addEventListener("abort", onAbort, { once: true });
    try {
      await Promise.race([this.#readClient(lines), this.#attendTabs(), this.#broken.promise]);
    } finally {
      signal.removeEventListener("abort", onAbort);
      const tab = "tab" in this.#state ? this.#state.tab : undefined;
      this.#state = { kind: "over" };
      await tab?.close(signal.aborted ? StreamError.from(signal.reason) : undefined);
    }
  }

  async #readClient(lines: AsyncIterable<string>): Promise<void> {
    for await (const text of lines) {
      const given = readMessage(text, "standard input");
      if (given !== undefined) await this.#fromClient(given);
    }
    const onLate = () => {
      const options = { code: Code.DeadlineExceeded, hop: Hop.PEER };
      this.#broken.reject(new StreamError("the tab has not answered in time", options));
    };
    const cancelDeadline = systemClock.after(lastResponsesTimeoutMs, onLate, false);
    while (this.#asked.size > 0 || this.#waiting.size > 0) await this.#changed.changed();
    cancelDeadline();
  }

  async #fromClient(given: JsonRpcText): Promise<void> {
    const { id, method } = given.message;
    this.#handshake.note(given);
    if (id !== undefined && method !== undefined && this.#asked.size >= maxMessages) {
      const message = `${maxMessages} requests are not answered yet`;
      return this.#fail(id, new StreamError(message, { failure: Failure.LIMIT_REACHED, hop: Hop.CALLER }), false);
    }
    if (this.#state.kind === "open") return this.#forward(this.#state.tab, given);
    // The attempt for the first tab has a deadline of its own.
    this.#waiting.push(given, this.#state.kind === "expected" ? Number.POSITIVE_INFINITY : undefined);
    while (this.#waiting.size >= maxMessages) await this.#changed.changed();
  }

  async #forward(tab: McpTab, given: JsonRpcText): Promise<void> {
    const { id, method } = given.message;
    if (id !== undefined && method !== undefined) this.#asked.set(id, given);
    // A response for a tab that has gone is none for this one, which may use the id anew.
    else if (id !== undefined && !this.#askedByTab.delete(id)) return;
    try {
      await tab.send(given);
    } catch (reason) {
      if (id !== undefined && method !== undefined) return this.#fail(id, StreamError.from(reason), false);
      notice(`not sent to the tab: ${wordsFor(reason)}`);
    }
  }

  /** Goes from one tab to the next. Rejects when there is none to wait for. */
  async #attendTabs(): Promise<never> {
    const { name, openTab, signal } = this.#init;
    const handlers: McpTabInit = {
      onMessage: (message) => this.#fromTab(message),
      onFailed: (id, error) => {
        if (this.#asked.has(id)) void this.#fail(id, error, true);
      },
    };
    for (let isFirst = true; ; ) {
      let error: StreamError;
      try {
        const tab = await openTab(handlers);
        notice(`${shellWord(name)} is ${isFirst ? "there" : "back"}: ${tab.protocol}`);
        isFirst = false;
        error = await this.#attend(tab);
        if (this.#isOver) throw error;
        await this.#lose(tab, error);
        this.#unreached = this.#nobodyError();
      } catch (reason) {
        error = StreamError.from(reason);
        this.#unreached = error;
      }
      if (isFirst || this.#isOver || !passingCodes.has(error.code)) {
        // First of all, because a client that has ended its input waits for nothing but these answers.
        this.#broken.reject(error);
        for (let next = this.#waiting.shift(); next !== undefined; next = this.#waiting.shift()) {
          await this.#giveUp(next, error);
        }
        throw error;
      }
      notice(`${shellWord(name)} is away, and waited for: ${wordsFor(error)}`);
      const ms = Math.min(pauseMs.first * 2 ** this.#failures, pauseMs.longest);
      this.#failures += 1;
      await pause(ms, undefined, { signal });
    }
  }

  /** Resolves with why the tab is away. */
  async #attend(tab: McpTab): Promise<StreamError> {
    this.#state = { kind: "arriving", tab };
    const { greeting } = this.#handshake;
    if (greeting !== undefined) {
      const lost = await this.#greet(tab, greeting);
      if (lost !== undefined) {
        await tab.close(lost);
        return lost;
      }
    }
    for (let next = this.#waiting.shift(); next !== undefined; next = this.#waiting.shift()) {
      this.#changed.notify();
      await this.#forward(tab, next);
    }
    this.#state = { kind: "open", tab };
    return tab.closed;
  }

  /** Initializes a tab as the client has initialized the one before. Resolves with why the tab does not do. */
  async #greet(tab: McpTab, { initialize, initialized }: Greeting): Promise<StreamError | undefined> {
    const greeted = new Deferred<JsonRpcMessage>();
    this.#greeted = greeted;
    void tab.closed.then(greeted.reject);
    const onLate = () => greeted.reject("the tab took too long to be initialized again");
    const cancelDeadline = systemClock.after(greetingTimeoutMs, onLate, false);
    try {
      const message: JsonRpcMessage = { ...initialize.message, id: greetingId };
      await tab.send({ text: JSON.stringify(message), message });
      const { result, error } = await greeted.promise;
      if (error !== undefined) {
        const words = `the tab cannot be initialized again: ${error.message}`;
        return new StreamError(words, { code: Code.FailedPrecondition, hop: Hop.PEER });
      }
      if (initialized !== undefined && !this.#waiting.has(initialized)) await tab.send(initialized);
      for (const change of listChanges(result)) await this.#tell(JSON.stringify(change));
      return undefined;
    } catch (reason) {
      return StreamError.from(reason, Code.DeadlineExceeded);
    } finally {
      cancelDeadline();
      this.#greeted = undefined;
    }
  }

  async #fromTab(given: JsonRpcText): Promise<void> {
    const { id, method } = given.message;
    if (method !== undefined) {
      if (id !== undefined && this.#askedByTab.size >= maxMessages) {
        return notice("dropped of what the tab sent: a request too many");
      }
      if (id !== undefined) this.#askedByTab.add(id);
      return this.#tell(given.text);
    }
    if (id === greetingId && this.#greeted !== undefined) return this.#greeted.resolve(given.message);
    const request = id === undefined ? undefined : this.#asked.get(id);
    if (id === undefined || request === undefined) return notice("dropped of what the tab sent: nobody asked for it");
    this.#asked.delete(id);
    this.#failures = 0;
    const isHandshake = this.#handshake.isPending(request);
    if (isHandshake) this.#handshake.answer(given.message);
    await this.#tell(isHandshake ? withListChanges(given) : given.text);
    this.#changed.notify();
  }

  /** The session with a tab is over, and nobody will answer the requests of either end. */
  async #lose(tab: McpTab, error: StreamError): Promise<void> {
    this.#state = { kind: "away" };
    const asked = [...this.#asked];
    this.#asked.clear();
    // The first request of all is made again in any case: it has no effect that could happen twice.
    const isRepeated = (given: JsonRpcText) => !tab.mayHaveReached(given, error) || this.#handshake.isPending(given);
    this.#waiting.unshift(asked.map(([, given]) => given).filter(isRepeated));
    for (const [id, given] of asked) if (!this.#waiting.has(given)) await this.#fail(id, error, true);
    const params = { reason: "the tab that asked has gone" };
    for (const requestId of this.#askedByTab) {
      const message = { jsonrpc: "2.0", method: "notifications/cancelled", params: { requestId, ...params } };
      await this.#tell(JSON.stringify(message));
    }
    this.#askedByTab.clear();
    // Nobody is asked for by now, so that the tab's own words about its end reach no request of the next one.
    tab.abandon(error);
  }

  get #isOver(): boolean {
    return this.#state.kind === "over";
  }

  #nobodyError(): StreamError {
    const { name, waitMs } = this.#init;
    const message = `nobody has listened on ${JSON.stringify(name)} for ${waitMs} ms`;
    return new StreamError(message, { failure: Failure.NO_SUCH_NAME });
  }

  /** A message has waited in vain. */
  async #giveUp({ message: { id, method } }: JsonRpcText, error: StreamError): Promise<void> {
    if (id !== undefined && method !== undefined) await this.#fail(id, error, false);
    this.#changed.notify();
  }

  async #fail(id: string | number, error: StreamError, isSent: boolean): Promise<void> {
    this.#asked.delete(id);
    await this.#tell(JSON.stringify(failedResponse(id, error, isSent)));
    this.#changed.notify();
  }

  /** Hands a message to the client. A client that cannot be reached breaks the session. */
  async #tell(text: string): Promise<void> {
    await this.#init.tell(text).catch((reason: unknown) => this.#broken.reject(reason));
  }
}
