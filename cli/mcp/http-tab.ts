import { setTimeout as pause } from "node:timers/promises";
import { fetchCall } from "../../http/call/fetch-call.js";
import { openLink } from "../../http/link/stream-link.js";
import type { LinkStream } from "../../http/link/stream-pipe.js";
import type { PeerLink } from "../../link/peer-link.js";
import { Deferred } from "../../stream/platform/deferred.js";
import { systemClock } from "../../stream/platform/system-clock.js";
import { Code, Failure, Hop, StreamError } from "../../web/node.js";
import { notice, wordsFor } from "../terminal/notice.js";
import { noticeSuspensions } from "../terminal/suspension-notice.js";
import { EventStream } from "./event-stream.js";
import { closeTimeoutMs, type JsonRpcText, type McpTab, type McpTabInit, readMessage } from "./mcp-tab.js";

/** A handler has 60 s for the head of its response. The tab's own answer is waited for a little longer. */
const headTimeoutMs = 75_000;
/** A response is waited for in so many attempts to open its stream of events again: with their pauses half a minute. */
const maxFailures = 5;
/** Statuses of failure that pass. One stream at a time is what the SDK's transport takes: 409 until it sees a cut. */
const passingStatuses: ReadonlySet<number> = new Set([408, 409, 425, 429]);
/** As much as a message of a stream may have, unless its receiver says otherwise. */
const maxMessageBytes = 16_777_216;
const eventStreamType = "text/event-stream";
const bothTypes = `application/json, ${eventStreamType}`;

/** A message that was sent to the tab, and what is known of its response. */
interface Sent {
  /** The id, if the message is a request. */
  requestId: string | number | undefined;
  isInitialize: boolean;
  isAnswered: boolean;
}

export interface HttpTabInit extends McpTabInit {
  name: string;
  /** The path at which the tab serves MCP. */
  path: string;
}

/**
 * A tab that serves MCP over HTTP on the stream, as `serve` does with the SDK's web-standard transport. Rejects with
 * why the listener has not accepted the stream, and with `unimplemented` if it serves no HTTP.
 */
export async function openHttpTab(stream: LinkStream, init: HttpTabInit): Promise<McpTab> {
  noticeSuspensions(stream);
  return new HttpTab(await openLink(stream, init.name, systemClock), stream, init);
}

class HttpTab implements McpTab {
  readonly protocol = "MCP over HTTP on the stream";
  readonly #link: PeerLink;
  readonly #stream: LinkStream;
  readonly #init: HttpTabInit;
  readonly #closed = new Deferred<StreamError>();
  /** Ends the calls that are under way. */
  readonly #calls = new AbortController();
  #sessionId: string | undefined;
  #protocolVersion: string | undefined;

  constructor(link: PeerLink, stream: LinkStream, init: HttpTabInit) {
    this.#link = link;
    this.#stream = stream;
    this.#init = init;
    void link.closed.then((error) => this.#closed.resolve(error));
  }

  get closed(): Promise<StreamError> {
    return this.#closed.promise;
  }

  /** The call is begun in this turn, so that messages arrive in their order. Its response is waited for elsewhere. */
  async send(given: JsonRpcText): Promise<void> {
    // The tab has heard nothing of a call that there was no room for.
    if (this.#link.isOpen && !this.#link.hasRoom) throw fullError();
    const headers = { accept: bothTypes, "content-type": "application/json" };
    void this.#take(given, this.#fetch("POST", headers, given.text));
  }

  mayHaveReached(): boolean {
    return true;
  }

  abandon(error: StreamError): void {
    void this.close(error);
  }

  async close(error?: StreamError): Promise<void> {
    const stream = this.#stream;
    const cancelDeadline = systemClock.after(closeTimeoutMs, () => void stream.destroy());
    if (error !== undefined) stream.destroy(error);
    else if (this.#sessionId !== undefined) {
      await this.#fetch("DELETE", {}).then(
        (response) => response.body?.cancel(),
        () => {},
      );
    }
    this.#calls.abort();
    this.#link.close(error ?? new StreamError("the session has ended", { code: Code.Canceled }));
    await stream.closed.catch(() => {});
    cancelDeadline();
  }

  #fetch(method: string, headers: Record<string, string>, body?: string): Promise<Response> {
    const own = {
      ...(this.#sessionId !== undefined && { "mcp-session-id": this.#sessionId }),
      ...(this.#protocolVersion !== undefined && { "mcp-protocol-version": this.#protocolVersion }),
    };
    const { signal } = this.#calls;
    const openChannel = async (request: Parameters<PeerLink["open"]>[0]) => this.#link.open(request);
    const init: RequestInit = { method, headers: { ...own, ...headers }, signal };
    if (body !== undefined) init.body = body;
    return fetchCall(this.#init.path, init, { openChannel, headTimeoutMs, clock: systemClock });
  }

  /** Takes the response to a message. A request that it does not answer has failed. */
  async #take({ message: { id, method } }: JsonRpcText, responding: Promise<Response>): Promise<void> {
    const isInitialize = method === "initialize";
    const sent: Sent = { requestId: method === undefined ? undefined : id, isInitialize, isAnswered: false };
    try {
      const response = await responding;
      if (!response.ok) throw this.#refusal(response);
      if (isInitialize) this.#sessionId = response.headers.get("mcp-session-id") ?? undefined;
      await this.#read(response, sent);
      if (sent.requestId !== undefined && !sent.isAnswered) {
        throw new StreamError("the response of HTTP has none to the request", { code: Code.Internal, hop: Hop.PEER });
      }
      // A tab without sessions has no stream for the messages that it sends by itself.
      if (method === "notifications/initialized") void this.#follow(new EventStream()).catch(() => {});
    } catch (reason) {
      const error = StreamError.from(reason);
      if (sent.requestId !== undefined) this.#init.onFailed(sent.requestId, error);
      else if (!this.#calls.signal.aborted) notice(`not taken by the tab: ${wordsFor(error)}`);
    }
  }

  /** Ends a response with a status of failure. One of a session that the tab does not know ends the session. */
  #refusal({ status, body }: Response): StreamError {
    void body?.cancel();
    if (status === 404 && this.#sessionId !== undefined) this.#closed.resolve(statusError(404, Code.Unavailable));
    return statusError(status);
  }

  /**
   * Opens a stream of events, and again whenever it has ended or was cut, from where it was on. Resolves when it has
   * the response to the message that was sent; when that is not to be had; and when the tab has no such stream. Rejects
   * when the session ends.
   */
  async #follow(events: EventStream, sent?: Sent): Promise<void> {
    const { signal } = this.#calls;
    // A tab that has no such stream may answer with 404, which says that a session is over where there was one.
    let isServed = sent !== undefined;
    for (;;) {
      try {
        const { lastEventId } = events;
        const resuming = lastEventId === undefined ? {} : { "last-event-id": lastEventId };
        const response = await this.#fetch("GET", { accept: eventStreamType, ...resuming });
        if (!response.ok) {
          const { status } = response;
          if (isServed) this.#refusal(response);
          else void response.body?.cancel();
          if (status < 500 && !passingStatuses.has(status)) return;
        } else if (typeOf(response) !== eventStreamType || response.body === null) {
          return void response.body?.cancel();
        } else {
          isServed = true;
          await events.read(response.body, (data) => this.#give(data, sent));
        }
      } catch (reason) {
        // The tab would send again what is too large.
        if (signal.aborted || StreamError.from(reason).failure === Failure.MESSAGE_TOO_LARGE) throw reason;
      }
      if (sent?.isAnswered || (sent !== undefined && events.failures >= maxFailures)) return;
      await pause(events.retry(), undefined, { signal, ref: false });
    }
  }

  /** Takes the messages of a response to what was sent. */
  async #read(response: Response, sent: Sent): Promise<void> {
    const { body, status } = response;
    if (body === null || status === 202) return void body?.cancel();
    if (typeOf(response) === eventStreamType) return this.#readEvents(body, sent);
    let whole = "";
    for await (const part of body.pipeThrough(new TextDecoderStream())) {
      whole += part;
      if (whole.length > maxMessageBytes) throw new StreamError("the response is too large", { hop: Hop.PEER });
    }
    for (const each of messagesOf(whole)) await this.#give(each, sent);
  }

  /** Takes the messages of a stream of events. One that ends before the response is resumed, if its events have ids. */
  async #readEvents(body: ReadableStream<Uint8Array>, sent: Sent): Promise<void> {
    const events = new EventStream();
    const reading = events.read(body, (data) => this.#give(data, sent));
    await reading.catch((reason: unknown) => {
      if (events.lastEventId === undefined) throw reason;
    });
    if (sent.requestId === undefined || sent.isAnswered || events.lastEventId === undefined) return;
    await pause(events.retry(), undefined, { signal: this.#calls.signal, ref: false });
    await this.#follow(events, sent);
  }

  async #give(text: string, sent?: Sent): Promise<void> {
    const given = readMessage(text, "the tab");
    if (given === undefined) return;
    const { id, method, result } = given.message;
    if (sent?.requestId !== undefined && method === undefined && id === sent.requestId) {
      sent.isAnswered = true;
      const { protocolVersion } = (result ?? {}) as { protocolVersion?: unknown };
      if (sent.isInitialize && typeof protocolVersion === "string") this.#protocolVersion = protocolVersion;
    }
    await this.#init.onMessage(given);
  }
}

function typeOf({ headers }: Response): string | undefined {
  return headers.get("content-type")?.split(";", 1)[0]?.trim();
}

/** The messages of a body of JSON: one, or an array of them, which early versions of MCP have. */
function messagesOf(text: string): string[] {
  if (!text.trimStart().startsWith("[")) return [text];
  try {
    return (JSON.parse(text) as unknown[]).map((message) => JSON.stringify(message));
  } catch {
    // It is told as a message that is none. The engine's own words would quote it.
    return [text];
  }
}

function fullError(): StreamError {
  return new StreamError("the tab takes no more calls at once", { failure: Failure.LIMIT_REACHED, hop: Hop.CALLER });
}

function statusError(status: number, code = Code.Unknown): StreamError {
  return new StreamError(`the tab has answered with HTTP ${status}`, { code, hop: Hop.PEER });
}
