import { ConnectError, type Interceptor } from "@connectrpc/connect";

/**
 * Tells `onError` of what an implementation throws by mistake, of which its caller hears no more than `internal`. What
 * it throws after its call is over, because of that most often, is not told.
 */
export function shownErrors(onError: (error: unknown, path: string) => void): Interceptor {
  return (next) => async (request) => {
    const pass = (reason: unknown): never => {
      const isMistake = !(reason instanceof ConnectError) && !request.signal.aborted;
      if (isMistake) onError(reason, new URL(request.url).pathname);
      throw reason;
    };
    const response = await next(request).catch(pass);
    if (!response.stream) return response;
    const messages = response.message;
    return { ...response, message: { [Symbol.asyncIterator]: () => watched(messages[Symbol.asyncIterator](), pass) } };
  };
}

function watched<T>(iterator: AsyncIterator<T>, pass: (reason: unknown) => never): AsyncIterator<T> {
  return {
    next: () => iterator.next().catch(pass),
    return: async (value) => (await iterator.return?.(value)) ?? { done: true, value },
    throw: (reason) => iterator.throw?.(reason) ?? Promise.reject(reason),
  };
}
