import type { Hold } from "../admission/admission.js";
import type { NodeRequest, NodeResponse } from "../http/node-server.js";
import type { OpenResponses } from "../http/open-responses.js";
import { waitingBytes } from "../http/waiting-bytes.js";
import type { CallControl } from "./caller.js";

/** The control of a call that is a request of its own. A class, because each leg keeps one for as long as it lives. */
export class RequestControl implements CallControl {
  readonly #responses: OpenResponses;
  readonly #request: NodeRequest;
  readonly #response: NodeResponse;
  readonly #opening: Hold | undefined;

  /** `opening` is the call's place among those that open. Undefined for a call that is refused. */
  constructor(responses: OpenResponses, request: NodeRequest, response: NodeResponse, opening: Hold | undefined) {
    this.#responses = responses;
    this.#request = request;
    this.#response = response;
    this.#opening = opening;
  }

  get heldBytes(): number {
    return waitingBytes(this.#request, this.#response);
  }

  expectEnd(timeoutMs?: number): void {
    this.#responses.expectEnd(this.#response, timeoutMs);
  }

  takePlace(): void {
    this.#opening?.release();
  }

  onEnd(act: () => void): void {
    this.#responses.onEnd(this.#response, act);
  }
}
