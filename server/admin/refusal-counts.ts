import type { MessageInitShape } from "@bufbuild/protobuf";
import type { RefusalReportSchema } from "../../gen/streamserver/v1/admin_pb.js";
import { cutReason, nameOf } from "../../stream/error/stream-error.js";
import type { Refusal } from "../relay/relay-events.js";
import { callerReport } from "./caller-report.js";

/** A name in a refused call may be longer than a name can be, and is cut here, even within a surrogate pair. */
const maxShownNameChars = 256;

interface Counted {
  count: number;
  last: Refusal;
  lastAtMs: number;
}

/**
 * Counts refused calls by their kind and reason, of which there are some hundred pairs at most, and keeps the last one
 * of each.
 */
export class RefusalCounts {
  readonly #counts = new Map<string, Counted>();
  #total = 0;

  get total(): number {
    return this.#total;
  }

  add(refusal: Refusal, nowMs: number): void {
    const { call, error } = refusal;
    const key = `${call} ${nameOf(error.failure, error.code)}`;
    this.#total += 1;
    this.#counts.set(key, { count: (this.#counts.get(key)?.count ?? 0) + 1, last: refusal, lastAtMs: nowMs });
  }

  /** Returns what was refused, with the most frequent refusals first. */
  reports(nowMs: number): MessageInitShape<typeof RefusalReportSchema>[] {
    return [...this.#counts.values()]
      .sort((a, b) => b.count - a.count)
      .map(({ count, last: { call, error, caller, name = "" }, lastAtMs }) => ({
        call,
        reason: nameOf(error.failure, error.code),
        count: BigInt(count),
        lastMs: BigInt(Math.round(nowMs - lastAtMs)),
        lastCaller: caller && callerReport(caller),
        lastName: Buffer.from(name.slice(0, maxShownNameChars)).toString(),
        lastMessage: cutReason(error.message),
      }));
  }
}
