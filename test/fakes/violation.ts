import { Endpoint } from "../../stream/endpoint/endpoint.js";
import type { EndpointOptions } from "../../stream/endpoint/endpoint-options.js";
import type { Frame } from "../../stream/endpoint/frame.js";
import type { StreamError } from "../../stream/error/stream-error.js";

/** Returns the error that an endpoint failed with. */
export function errorOf(endpoint: Endpoint): StreamError {
  const { state } = endpoint;
  if (state.kind === "failed" || state.kind === "resetting") return state.error;
  throw new Error(`the endpoint is ${state.kind}`);
}

/**
 * Hands an endpoint frames that it must refuse. Returns the error that it fails with, and the one that its peer then
 * fails with.
 */
export function refusal(frames: readonly Frame[], options: EndpointOptions = {}): [StreamError, StreamError] {
  const [victim, culprit] = [new Endpoint(options, () => {}), new Endpoint({}, () => {})];
  for (const frame of frames) victim.receive(frame);
  const here = errorOf(victim);
  const reset = victim.takeFrame();
  if (reset?.reset === undefined) throw new Error("no reset was sent");
  culprit.receive(reset);
  return [here, errorOf(culprit)];
}
