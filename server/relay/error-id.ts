import { StreamError } from "../../stream/error/stream-error.js";
import { randomId } from "./token.js";

/** The header, or trailer, with the id under which the log of the relay has an error. */
export const errorIdHeader = "error-id";

const ids = new WeakMap<StreamError, string>();

/** Returns the id under which the log of the relay has an error, or its cause; undefined if neither has one. */
export function errorIdOf(error: StreamError): string | undefined {
  return ids.get(error) ?? (error.cause instanceof StreamError ? ids.get(error.cause) : undefined);
}

/** Gives an error an id, and returns it. An error with which many calls are refused keeps its first one. */
export function giveErrorId(error: StreamError): string {
  const id = ids.get(error) ?? randomId();
  ids.set(error, id);
  return id;
}
