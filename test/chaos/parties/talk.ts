import { Failure, type Stream, type StreamError } from "browser-stream-server";

const writeIntervalMs = 100;

/** One side of a stream that writes numbers now and then, and reads those of its peer. */
export class Talk {
  peer!: Talk;
  /** When a message came last. */
  receivedMs = 0;
  written = 0;
  received = 0;
  error: StreamError | undefined;
  readonly ended: Promise<void>;
  readonly #stream: Stream;
  readonly #timer: NodeJS.Timeout;
  readonly #problems: string[] = [];

  constructor(stream: Stream) {
    this.#stream = stream;
    stream.on("data", (message) => {
      if (message !== String(this.received)) this.#problems.push(`${message} came in place of ${this.received}`);
      this.received += 1;
      this.receivedMs = performance.now();
    });
    this.#timer = setInterval(() => {
      stream.write(String(this.written));
      this.written += 1;
    }, writeIntervalMs);
    this.ended = stream.closed
      .catch((error: StreamError) => {
        this.error = error;
      })
      .finally(() => clearInterval(this.#timer));
  }

  end(): void {
    clearInterval(this.#timer);
    this.#stream.end();
  }

  get account(): string {
    const delivery = this.error?.delivery;
    return delivery === undefined
      ? "none"
      : `${delivery.messages} of ${this.written}${delivery.isFinal ? ", final" : ""}`;
  }

  problems(): string[] {
    if (this.error !== undefined) return [...this.#problems, `failed with ${this.error.message}`];
    if (this.received === this.peer.written) return this.#problems;
    return [...this.#problems, `${this.received} of ${this.peer.written} messages came`];
  }

  lossProblems(): string[] {
    const problems = [...this.#problems];
    if (this.error?.failure !== Failure.LEG_LOST) problems.push(`ended with ${this.error?.message ?? "success"}`);
    const { messages, isFinal } = this.error?.delivery ?? { messages: -1, isFinal: false };
    const isTrue = isFinal ? messages === this.peer.received : messages >= 0 && messages <= this.peer.received;
    if (!isTrue) problems.push(`the account is ${this.account}, and the peer has ${this.peer.received}`);
    return problems;
  }
}

/** Lets both sides of a stream write and read. */
export function talksOf({ client, listener }: { client: Stream; listener: Stream }): readonly [Talk, Talk] {
  const talks = [new Talk(client), new Talk(listener)] as const;
  talks[0].peer = talks[1];
  talks[1].peer = talks[0];
  return talks;
}
