import type { StreamError } from "../../stream/error/stream-error.js";
import type { Caller } from "../admission/caller.js";
import type { Relay } from "../relay/relay.js";
import type { CallBytes } from "../relay/relay-events.js";
import { callerGoneError } from "./gateway-call.js";

export interface CallReportInit {
  name: string;
  method: string;
  caller: Caller;
}

const noBytes: CallBytes = { request: 0, answer: 0 };

/** Tells those who watch the relay of a call to a listener when that is over. */
export class CallReport {
  readonly #relay: Relay;
  readonly #init: CallReportInit;
  readonly #beganAtMs: number;
  /** The caller, with what was verified about it once it was let in. */
  caller: Caller;
  #error: StreamError | undefined;

  constructor(relay: Relay, init: CallReportInit) {
    this.#relay = relay;
    this.#init = init;
    this.#beganAtMs = relay.clock.now();
    this.caller = init.caller;
  }

  /** The call fails with an error. The first one counts. */
  fail(error: StreamError): void {
    this.#error ??= error;
  }

  /** The caller has left before the call was over. */
  leave(): void {
    this.#error ??= callerGoneError();
  }

  /** The call is over. `status` is undefined if no answer has begun. */
  end(status: number | undefined, bytes = noBytes): void {
    const { events, clock } = this.#relay;
    const { name, method } = this.#init;
    const durationMs = clock.now() - this.#beganAtMs;
    const { caller } = this;
    events.tell({ kind: "call ended", name, method, caller, status, error: this.#error, bytes, durationMs });
  }
}
