import { fromConnectError } from "../../stream/failure-detail.js";
import type { StreamError } from "../../stream/stream-error.js";

/** What `action` throws. */
export function thrown(action: () => unknown): StreamError {
  try {
    action();
  } catch (reason) {
    return fromConnectError(reason);
  }
  throw new Error("nothing was thrown");
}

/** What `promise` rejects with. */
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

/** Where a promise is at, without waiting for it. */
export async function promiseState(promise: Promise<unknown>): Promise<"pending" | "resolved" | "rejected"> {
  const pending = Symbol("pending");
  await settled();
  return Promise.race([promise, Promise.resolve(pending)]).then(
    (value) => (value === pending ? "pending" : "resolved"),
    () => "rejected",
  );
}
