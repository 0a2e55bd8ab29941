import type { MessageInitShape } from "@bufbuild/protobuf";
import { type Client, ConnectError } from "@connectrpc/connect";
import { type Code, Failure } from "browser-stream-server";
import {
  type AcceptResponse,
  type ConnectResponse,
  FailureDetailSchema,
  type FrameSchema,
  type ListenRequestSchema,
  type ListenResponse,
  type Offer,
  type OpenSchema,
  type RelayService,
} from "browser-stream-server/gen";

type LegMessage =
  | { case: "open"; value: MessageInitShape<typeof OpenSchema> }
  | { case: "frame"; value: MessageInitShape<typeof FrameSchema> };

/** The code and the failure of a call, as a program sees them. */
export interface Refusal {
  code: Code;
  failure: Failure;
}

export function refusal(code: Code, failure: Failure): Refusal {
  return { code, failure };
}

/** Resolves with the way in which a call fails. Rejects if it does not fail. */
export async function refused(call: Promise<unknown> | AsyncIterable<unknown>): Promise<Refusal> {
  try {
    if (Symbol.asyncIterator in call) for await (const _ of call);
    else await call;
  } catch (reason) {
    const error = ConnectError.from(reason);
    return { code: error.code, failure: error.findDetails(FailureDetailSchema)[0]?.failure ?? Failure.UNSPECIFIED };
  }
  throw new Error("the call did not fail");
}

/** A leg whose messages a test writes by hand, right ones and wrong ones. */
export class RawLeg {
  readonly #queue: LegMessage[] = [];
  readonly #abort = new AbortController();
  readonly #responses: AsyncIterator<ConnectResponse | AcceptResponse>;
  #state: "open" | "ended" = "open";
  #wake = () => {};

  constructor(client: Client<typeof RelayService>, rpc: "connect" | "accept", ...messages: LegMessage[]) {
    this.#queue.push(...messages);
    const queue = this.#queue;
    const next = () => new Promise<void>((resolve) => (this.#wake = resolve));
    const isEnded = () => this.#state === "ended";
    async function* requests() {
      for (;;) {
        const message = queue.shift();
        if (message !== undefined) yield { message } as never;
        else if (isEnded()) return;
        else await next();
      }
    }
    this.#responses = client[rpc](requests(), { signal: this.#abort.signal })[Symbol.asyncIterator]();
  }

  send(...messages: LegMessage[]): void {
    this.#queue.push(...messages);
    this.#wake();
  }

  endRequest(): void {
    this.#state = "ended";
    this.#wake();
  }

  /** The next message of a kind; fails if the call ends first. */
  async receive<C extends "opened" | "accepted" | "frame">(kind: C) {
    for (;;) {
      const { done, value } = await this.#responses.next();
      if (done) throw new Error(`the call ended before ${kind}`);
      if (value.message.case === kind)
        return value.message.value as Extract<ConnectResponse["message"], { case: C }>["value"];
    }
  }

  /** The messages that nobody has taken yet, until the call ends. */
  rest(): AsyncIterable<unknown> {
    return { [Symbol.asyncIterator]: () => this.#responses };
  }

  cancel(): void {
    this.#abort.abort();
    this.endRequest();
  }
}

/** A listener by hand. */
export class RawListener {
  readonly #abort = new AbortController();
  readonly #events: AsyncIterator<ListenResponse>;

  /** Listens on a name, or as a request says. */
  constructor(client: Client<typeof RelayService>, listen: string | MessageInitShape<typeof ListenRequestSchema>) {
    const request = typeof listen === "string" ? { name: listen } : listen;
    this.#events = client.listen(request, { signal: this.#abort.signal })[Symbol.asyncIterator]();
  }

  /** The events that nobody has taken yet, until the call ends. */
  rest(): AsyncIterable<unknown> {
    return { [Symbol.asyncIterator]: () => this.#events };
  }

  async event<C extends "registered" | "offer" | "withdrawn" | "draining">(kind: C) {
    for (;;) {
      const { done, value } = await this.#events.next();
      if (done) throw new Error(`Listen ended before ${kind}`);
      if (value.event.case === kind) return value.event.value as Extract<ListenResponse["event"], { case: C }>["value"];
    }
  }

  async close(): Promise<void> {
    this.#abort.abort();
    await this.#events.next().catch(() => {});
  }
}

export const open = (value: MessageInitShape<typeof OpenSchema>): LegMessage => ({ case: "open", value });
export const frame = (value: MessageInitShape<typeof FrameSchema>): LegMessage => ({ case: "frame", value });
/** Returns the proof of an offer that Accept and Reject ask for. */
export const proof = ({ streamId, legToken }: Offer) => ({ streamId, legToken });
export const openOffer = (offer: Offer): LegMessage => open(proof(offer));
