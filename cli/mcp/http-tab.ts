import { setTimeout as pause } from "node:timers/promises";
import { EventSourceParserStream } from "eventsource-parser/stream";
import { fetchCall } from "../../http/call/fetch-call.js";
import { openLink } from "../../http/link/stream-link.js";
import type { LinkStream } from "../../http/link/stream-pipe.js";
import type { PeerLink } from "../../link/peer-link.js";
import { Deferred } from "../../stream/platform/deferred.js";
import { systemClock } from "../../stream/platform/system-clock.js";
import { Code, Hop, StreamError } from "../../web/node.js";
import { notice, wordsFor } from "../terminal/notice.js";
import { noticeSuspensions } from "../terminal/suspension-notice.js";
import { closeTimeoutMs, type JsonRpcText, type McpTab, type McpTabInit, readMessage } from "./mcp-tab.js";

/** A handler has 60 s for the head of its response. The tab's own answer is waited for a little longer. */
const headTimeoutMs = 75_000;
/** A stream of events that the tab has ended is opened again after this time. */
const reopenMs = 1_000;
/** As much as a message of a stream may have, unless its receiver says otherwise. */
const maxMessageBytes = 16_777_216;
const bothTypes = "application/json, text/event-stream";

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
    const headers = { accept: bothTypes, "content-type": "application/json" };
    void this.#take(given, this.#fetch("POST", headers, given.text));
  }

  mayHaveReached(): boolean {
    return true;
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
  async #take({ message }: JsonRpcText, responding: Promise<Response>): Promise<void> {
    const { id, method } = message;
    try {
      const response = await responding;
      if (response.status === 404 && this.#sessionId !== undefined) {
        this.#closed.resolve(statusError(404, Code.Unavailable));
      }
      if (!response.ok) {
        void response.body?.cancel();
        throw statusError(response.status);
      }
      if (method === "initialize") this.#sessionId = response.headers.get("mcp-session-id") ?? undefined;
      await this.#read(response, method === "initialize" ? id : undefined);
      if (id !== undefined && method !== undefined) {
        throw new StreamError("the response of HTTP has none to the request", { code: Code.Internal, hop: Hop.PEER });
      }
      if (method === "notifications/initialized") void this.#listen();
    } catch (reason) {
      const error = StreamError.from(reason);
      if (id !== undefined && method !== undefined) this.#init.onFailed(id, error);
      else if (!this.#calls.signal.aborted) notice(`not taken by the tab: ${wordsFor(error)}`);
    }
  }

  /** Takes the messages that the tab sends by itself. A tab without sessions has no stream for them. */
  async #listen(): Promise<void> {
    const { signal } = this.#calls;
    try {
      for (;;) {
        const response = await this.#fetch("GET", { accept: "text/event-stream" });
        if (!response.ok) return void response.body?.cancel();
        await this.#read(response, undefined);
        await pause(reopenMs, undefined, { signal, ref: false });
      }
    } catch {
      // The link has ended, of which `closed` tells, or the stream of events, whose messages nobody waits for.
    }
  }

  /** Takes the messages of a response. The one with the id has the version of the protocol. */
  async #read(response: Response, initializeId: string | number | undefined): Promise<void> {
    const type = response.headers.get("content-type")?.split(";", 1)[0]?.trim();
    if (response.body === null || response.status === 202) return void response.body?.cancel();
    const text = response.body.pipeThrough(new TextDecoderStream());
    if (type === "text/event-stream") {
      const events = text.pipeThrough(new EventSourceParserStream({ maxBufferSize: maxMessageBytes }));
      for await (const { data, event = "message" } of events) {
        // An event without data begins a stream that can be resumed, and carries no message.
        if (event === "message" && data !== "") await this.#give(data, initializeId);
      }
      return;
    }
    let whole = "";
    for await (const part of text) {
      whole += part;
      if (whole.length > maxMessageBytes) throw new StreamError("the response is too large", { hop: Hop.PEER });
    }
    for (const each of messagesOf(whole)) await this.#give(each, initializeId);
  }

  async #give(text: string, initializeId: string | number | undefined): Promise<void> {
    const given = readMessage(text, "the tab");
    if (given === undefined) return;
    const { id, result } = given.message;
    if (initializeId !== undefined && id === initializeId) {
      const { protocolVersion } = (result ?? {}) as { protocolVersion?: unknown };
      if (typeof protocolVersion === "string") this.#protocolVersion = protocolVersion;
    }
    await this.#init.onMessage(given);
  }
}

/** The messages of a body of JSON: one, or an array of them, which early versions of MCP have. */
function messagesOf(text: string): string[] {
  if (!text.trimStart().startsWith("[")) return [text];
  return (JSON.parse(text) as unknown[]).map((message) => JSON.stringify(message));
}

function statusError(status: number, code = Code.Unknown): StreamError {
  return new StreamError(`the tab has answered with HTTP ${status}`, { code, hop: Hop.PEER });
}
