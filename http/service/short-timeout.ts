import { maxTimerMs } from "../../stream/platform/system-clock.js";

/** The longest timeout of a call in seconds. */
const maxTimeoutSeconds = Math.floor(maxTimerMs / 1_000);
const secondsOfUnit: Record<string, number> = { H: 3_600, M: 60, S: 1 };

/**
 * Returns the headers of a request with a timeout that a timer can have, in place of one of more than 24 days, which
 * would be over at once.
 */
export function withShortTimeout(headers: Headers): Headers {
  const [, count, unit = ""] = /^(\d{1,8})([HMS])$/.exec(headers.get("grpc-timeout") ?? "") ?? [];
  const [ms] = /^\d{1,10}$/.exec(headers.get("connect-timeout-ms") ?? "") ?? [];
  const isLong = Number(count) * (secondsOfUnit[unit] ?? 0) > maxTimeoutSeconds;
  if (!isLong && !(Number(ms) > maxTimeoutSeconds * 1_000)) return headers;
  const shortened = new Headers(headers);
  if (isLong) shortened.set("grpc-timeout", `${maxTimeoutSeconds}S`);
  else shortened.set("connect-timeout-ms", `${maxTimeoutSeconds * 1_000}`);
  return shortened;
}
