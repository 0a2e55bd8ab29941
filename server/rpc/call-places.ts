import type { ContextValues } from "@connectrpc/connect";
import type { UniversalHandler } from "@connectrpc/connect/protocol";
import { ServerReflection } from "../../gen/grpc/reflection/v1/reflection_pb.js";
import type { StreamError } from "../../stream/error/stream-error.js";
import type { Hold } from "../admission/admission.js";
import type { Caller } from "../admission/caller.js";
import type { NodeResponse } from "../http/node-server.js";
import { answerTimeoutMs, type OpenResponses } from "../http/open-responses.js";
import { dropRequest } from "../http/request/answered-request.js";
import type { Relay } from "../relay/relay.js";
import { callKind } from "./call-kind.js";
import { markRefused } from "./caller.js";

/**
 * Refused calls that are told why at once, which takes up to 59 KiB each. The streams and connections of others are
 * closed without a word, because whoever has so many refused reads no words.
 */
const maxToldRefusals = 500;

/** The places that calls of requests have in the relay, from their heads until their responses are closed. */
export class CallPlaces {
  readonly #relay: Relay;
  readonly #responses: OpenResponses;
  /** Refused calls whose responses are open. */
  #toldRefusals = 0;

  constructor(relay: Relay, responses: OpenResponses) {
    this.#relay = relay;
    this.#responses = responses;
  }

  /** Whether one more refused call may be told why. */
  get hasRoomToRefuse(): boolean {
    return this.#toldRefusals < maxToldRefusals;
  }

  /**
   * Counts a call until its response is closed. Returns its place among those that open, which is released sooner if
   * the call comes to hold something else; or why it is refused, if there are too many.
   */
  holdCall({ service, requestPath }: UniversalHandler, caller: Caller, response: NodeResponse): Hold | StreamError {
    const { admission } = this.#relay;
    let call: Hold | undefined;
    let opening: Hold | undefined;
    const release = () => {
      call?.release();
      opening?.release();
    };
    try {
      // Calls of the reflection service never hold anything else, and are few.
      const isReflection = service.typeName === ServerReflection.typeName;
      call = admission.hold(caller, { kind: isReflection ? "reflection call" : "call" });
      if (isReflection) return call;
      opening = admission.hold(caller, { kind: "opening call" });
      return opening;
    } catch (reason) {
      release();
      return this.#relay.refused(reason, { call: callKind(requestPath), caller });
    } finally {
      // `on`, because Node wraps a listener of `once` in 136 bytes for as long as the call lives.
      response.on("close", release);
    }
  }

  /** Counts the answer to a request for a file until it is read. Returns false if too many are not. */
  holdAnswer(caller: Caller, response: NodeResponse): boolean {
    try {
      const hold = this.#relay.admission.hold(caller, { kind: "opening call" });
      response.once("close", () => hold.release());
    } catch (reason) {
      this.#relay.refused(reason, { call: "file", caller });
      return false;
    }
    this.#responses.add(response);
    this.#responses.expectEnd(response, answerTimeoutMs);
    return true;
  }

  /** Lets the handler answer with a refusal, and reads none of the request. A refused call is open for 5 s at most. */
  refuse(values: ContextValues, refusal: StreamError, response: NodeResponse): void {
    markRefused(values, refusal);
    this.#toldRefusals += 1;
    response.once("close", () => {
      this.#toldRefusals -= 1;
    });
    dropRequest(response);
    this.#responses.expectEnd(response);
  }
}
