import {
  Code,
  type ConnectOptions,
  Failure,
  type RawMessage,
  type Stream,
  StreamError,
  type StreamServer,
  type TransportKind,
} from "browser-stream-server";
import { checkEqual } from "./check.js";
import type { Reach } from "./reach.js";

export type Role = "listener" | "client";

/**
 * From one try to find the other party to the next. Node's HTTP/2 server ends a connection on which a thousand calls
 * fail.
 */
const retryDelaysMs = { first: 1, most: 50 };

/**
 * One of the two who play a case. They may be in two programs that share nothing but the relay and a name, so they wait
 * for each other over a stream of their own, the meeting: the first under the name.
 */
export class Party {
  readonly name: string;
  /** The last word that the parties have agreed on. */
  lastWord = "nothing";
  readonly #reach: Reach;
  readonly #servers: StreamServer[] = [];
  readonly #streams: Stream[] = [];
  #meeting: { stream: Stream; words: AsyncIterator<RawMessage, undefined> } | undefined;
  #failure: StreamError | undefined;

  constructor(name: string, reach: Reach) {
    this.name = name;
    this.#reach = reach;
  }

  /** The transport of the meeting. */
  get transport(): TransportKind | undefined {
    return this.#meeting?.stream.transport;
  }

  listen(name = this.name): StreamServer {
    const server = this.#reach.listen(name);
    this.#servers.push(server);
    return server;
  }

  connect(options?: ConnectOptions, name = this.name): Stream {
    return this.#keep(this.#reach.connect(name, options));
  }

  /** The next client, who is accepted by the first use of the stream. */
  async next(server: StreamServer): Promise<Stream> {
    const { value: stream } = await server[Symbol.asyncIterator]().next();
    if (stream === undefined) throw new Error("the server ended");
    return this.#keep(stream);
  }

  /** The listener's part of the meeting. */
  async awaitOther(server: StreamServer): Promise<void> {
    await server.ready;
    this.#meet(await this.next(server));
    await this.together("met");
  }

  /** The client's part of the meeting, which may be early. */
  async findOther(): Promise<void> {
    for (let delayMs = retryDelaysMs.first; ; delayMs = Math.min(2 * delayMs, retryDelaysMs.most)) {
      const stream = this.#reach.connect(this.name);
      try {
        await stream.opened;
        this.#streams.push(stream);
        this.#meet(stream);
        return await this.together("met");
      } catch (reason) {
        if (!(reason instanceof StreamError && reason.failure === Failure.NO_SUCH_NAME)) throw reason;
        if (this.#failure !== undefined) throw this.#failure;
        await new Promise((resolve) => setTimeout(resolve, delayMs));
      }
    }
  }

  /** Resolves when both parties have come to this word. */
  async together(word: string): Promise<void> {
    const meeting = this.#meeting;
    if (meeting === undefined) throw new Error("the parties have not met");
    meeting.stream.write(word);
    const { value } = await meeting.words.next();
    checkEqual("what the other party waits for", value, word);
    this.lastWord = word;
  }

  /** Resolves when the other party is done too, and everything that was opened has ended. */
  async leave(): Promise<void> {
    await this.together("done");
    this.#meeting?.stream.end();
    checkEqual("the end of the meeting", (await this.#meeting?.words.next())?.done, true);
    await Promise.all(this.#servers.map((server) => server.end()));
    await Promise.allSettled(this.#streams.map((stream) => stream.closed));
  }

  /** Ends everything, and tells the other party why. */
  async fail(why: string): Promise<void> {
    this.#failure = new StreamError(why, { code: Code.Aborted });
    for (const stream of this.#streams) stream.destroy(this.#failure);
    await Promise.all(this.#servers.map((server) => server.end()));
  }

  /** A case looks at `closed` when it comes to it: until then its errors are not for the console. */
  #keep(stream: Stream): Stream {
    this.#streams.push(stream.on("error", () => {}));
    return stream;
  }

  #meet(stream: Stream): void {
    this.#meeting = { stream, words: stream[Symbol.asyncIterator]() };
  }
}
