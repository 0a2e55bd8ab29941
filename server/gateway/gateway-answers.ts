import { Failure } from "../../gen/streamserver/v1/failure_pb.js";
import type { StreamError } from "../../stream/error/stream-error.js";
import type { Warnings } from "../admission/warnings.js";
import type { NodeRequest, NodeResponse } from "../http/node-server.js";
import { type CorsFilter, createGatewayCorsFilter, type Origins } from "../http/page/cors.js";
import type { PageAccess } from "../http/page/page-access.js";
import { answerFailure, answerPlainly, setStatus } from "./failure-answer.js";

export interface GatewayAnswersInit {
  /** The origins whose pages may use the relay. */
  origins: Origins;
  pages: PageAccess;
  warnings: Warnings;
}

/**
 * The gateway's own answers to requests for listeners. Pages of the relay's `origins` may read them; which pages may
 * read the answers of a listener is the listener's to say.
 */
export class GatewayAnswers {
  readonly #cors: CorsFilter;
  readonly #pages: PageAccess;
  readonly #warnings: Warnings;

  constructor({ origins, pages, warnings }: GatewayAnswersInit) {
    this.#cors = createGatewayCorsFilter(origins);
    this.#pages = pages;
    this.#warnings = warnings;
  }

  /**
   * Allows the request, and returns true, if it is a preflight for a page of an allowed origin. That lets nobody in:
   * the call after the preflight is admitted, or refused, by itself.
   */
  allowPreflight(request: NodeRequest, response: NodeResponse): boolean {
    if (!this.#pages.isAllowedPreflight(request)) return false;
    this.#cors(request, response, () => {
      setStatus(response, 204);
      response.end();
    });
    return true;
  }

  /** Answers a call that failed. A preflight is allowed, so that the call after it is told why. */
  failure(request: NodeRequest, response: NodeResponse, error: StreamError): void {
    if (this.allowPreflight(request, response)) return;
    const refusal = error.failure === Failure.NOT_PERMITTED ? this.#pages.preflightRefusal(request) : undefined;
    if (refusal !== undefined) {
      this.#warnings.warn(
        { kind: refusal.kind },
        `the preflight of a page that calls a listener was refused: ${refusal.reason}`,
      );
    }
    this.#cors(request, response, () => answerFailure(request, response, error));
  }

  /** Answers a request without asking a listener. */
  plainly(request: NodeRequest, response: NodeResponse, status: number, words: string): void {
    if (this.allowPreflight(request, response)) return;
    this.#cors(request, response, () => answerPlainly(request, response, status, words));
  }
}
