import { fromConnectError } from "../../stream/error/failure-detail.js";
import type { StreamError } from "../../stream/error/stream-error.js";

/** Returns the error that `action` throws. */
export function thrown(action: () => unknown): StreamError {
  try {
    action();
  } catch (reason) {
    return fromConnectError(reason);
  }
  throw new Error("nothing was thrown");
}

/** Resolves with the error that `promise` rejects with. */
export async function rejection(promise: Promise<unknown>): Promise<StreamError> {
  return promise.then(
    () => {
      throw new Error("the promise did not reject");
    },
    (reason: unknown) => fromConnectError(reason),
  );
}

/** Resolves when everything that was already able to happen has happened. */
export function settled(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

/** Resolves with the state of a promise, without waiting for it to settle. */
export async function promiseState(promise: Promise<unknown>): Promise<"pending" | "resolved" | "rejected"> {
  const pending = Symbol("pending");
  await settled();
  return Promise.race([promise, Promise.resolve(pending)]).then(
    (value) => (value === pending ? "pending" : "resolved"),
    () => "rejected",
  );
}
