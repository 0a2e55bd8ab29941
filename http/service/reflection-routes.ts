import { Code, ConnectError, type ConnectRouter, type HandlerContext } from "@connectrpc/connect";
import { ServerReflection } from "../../gen/grpc/reflection/v1/reflection_pb.js";
import type { Clock } from "../../stream/platform/clock.js";
import { Deferred } from "../../stream/platform/deferred.js";
import type { Reflection } from "./reflection.js";

/** A request is a name. */
const maxRequestBytes = 4_096;
/**
 * A reflection call ends after 10 s without a request, because anybody may make one. A tool asks within a round trip.
 */
export const idleTimeoutMs = 10_000;

/**
 * Serves `grpc.reflection.v1.ServerReflection` on a router. A call that asks nothing for 10 s ends. `expectEnd` is told
 * of a call that should be over: one that has ended, or that reads nothing for 10 s.
 */
export function reflectionRoutes(
  router: ConnectRouter,
  reflection: Reflection,
  clock: Clock,
  expectEnd: (context: HandlerContext) => void = () => {},
): void {
  router.service(
    ServerReflection,
    {
      async *serverReflectionInfo(requests, context) {
        const sent = new Set<string>();
        const iterator = requests[Symbol.asyncIterator]();
        // A caller that reads no answer is never asked for its next request.
        const cutOffLater = () => clock.after(idleTimeoutMs, () => expectEnd(context));
        let cancelCutOff = () => {};
        context.signal.addEventListener("abort", () => cancelCutOff());
        try {
          for (;;) {
            const request = await orIdle(iterator.next(), clock);
            if (request.done) return;
            cancelCutOff = cutOffLater();
            yield reflection.answer(request.value, sent);
            cancelCutOff();
          }
        } finally {
          cancelCutOff();
          // A caller may keep its request open, or may not read how its call ended.
          expectEnd(context);
        }
      },
    },
    { readMaxBytes: maxRequestBytes },
  );
}

/** Rejects with `deadline_exceeded` if `next` takes too long. */
async function orIdle<T>(next: Promise<T>, clock: Clock): Promise<T> {
  const idle = new Deferred<never>();
  const cancel = clock.after(idleTimeoutMs, () =>
    idle.reject(new ConnectError(`no request for ${idleTimeoutMs / 1_000} s`, Code.DeadlineExceeded)),
  );
  try {
    return await Promise.race([next, idle.promise]);
  } finally {
    cancel();
  }
}
