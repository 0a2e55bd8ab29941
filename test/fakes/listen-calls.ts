import type { MessageInitShape } from "@bufbuild/protobuf";
import { Code, ConnectError, createRouterTransport, type Transport } from "@connectrpc/connect";
import type { Failure } from "../../gen/streamserver/v1/failure_pb.js";
import {
  type ListenRequest,
  type ListenResponseSchema,
  RelayService,
  type UnlistenRequest,
} from "../../gen/streamserver/v1/relay_pb.js";
import { toConnectError } from "../../stream/error/failure-detail.js";
import { StreamError } from "../../stream/error/stream-error.js";
import { Condition } from "../../stream/platform/deferred.js";
import { settled } from "./outcome.js";

export type ListenEvent = MessageInitShape<typeof ListenResponseSchema>["event"];

/** One call of `Listen` at {@link ListenCalls}. */
export class FakeListenCall {
  readonly request: ListenRequest;
  readonly #said: (ListenEvent | ConnectError)[] = [];
  readonly #changed = new Condition();
  readonly #signal: AbortSignal;

  constructor(request: ListenRequest, signal: AbortSignal) {
    this.request = request;
    this.#signal = signal;
    signal.addEventListener("abort", () => this.#changed.notify());
  }

  /** Whether the caller has hung up, or the call has ended. */
  get isOver(): boolean {
    return this.#signal.aborted;
  }

  async say(event: ListenEvent): Promise<void> {
    this.#said.push(event);
    this.#changed.notify();
    await settled();
  }

  /** Ends the call as a connection that breaks does. */
  break(): Promise<void> {
    return this.end(new ConnectError("the network is away", Code.Unavailable));
  }

  /** Ends the call with a failure that the relay tells. */
  fail(failure: Failure): Promise<void> {
    return this.end(toConnectError(new StreamError("", { failure })));
  }

  async end(error: ConnectError): Promise<void> {
    this.#said.push(error);
    this.#changed.notify();
    await settled();
  }

  async *responses(): AsyncGenerator<MessageInitShape<typeof ListenResponseSchema>> {
    while (!this.isOver) {
      const next = this.#said.shift();
      if (next instanceof ConnectError) throw next;
      if (next === undefined) await this.#changed.changed();
      else yield { event: next };
    }
  }
}

/** A relay that answers `Listen` as a test says, call by call. It takes each `Accept`, and sends nothing more on it. */
export class ListenCalls {
  readonly calls: FakeListenCall[] = [];
  readonly unlistened: UnlistenRequest[] = [];
  readonly transport: Transport;
  /** The calls of `Accept` and `Reject`, each with its token. */
  readonly decisions: string[] = [];
  /** The answer to `Reject`: it succeeds, or throws. */
  onReject: (legToken: string) => void = () => {};
  /** The token in the answer to `Renew`. */
  renewedToken = "";
  /** The answer to `Unlisten`: it succeeds, or throws. */
  onUnlisten: () => void | Promise<void> = () => {};

  constructor() {
    const { decisions } = this;
    this.transport = createRouterTransport(({ service }) => {
      service(RelayService, {
        listen: (request, { signal }) => {
          const call = new FakeListenCall(request, signal);
          this.calls.push(call);
          return call.responses();
        },
        async *accept(requests, { signal }) {
          const { value } = await requests[Symbol.asyncIterator]().next();
          if (value?.message.case === "open") decisions.push(`accept ${value.message.value.legToken}`);
          yield { message: { case: "opened", value: {} } };
          await new Promise((resolve) => signal.addEventListener("abort", resolve));
        },
        reject: ({ legToken }) => {
          this.onReject(legToken);
          decisions.push(`reject ${legToken}`);
          return {};
        },
        renew: () => ({ token: this.renewedToken }),
        unlisten: async (request) => {
          this.unlistened.push(request);
          await this.onUnlisten();
          return {};
        },
      });
    });
  }

  /** The newest call. */
  get last(): FakeListenCall {
    const call = this.calls.at(-1);
    if (call === undefined) throw new Error("nobody has called Listen");
    return call;
  }
}
