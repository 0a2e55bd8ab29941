import type { CallInfo } from "browser-stream-server/http";

/** Something that not every way to a server has. */
export type Need =
  /** The request's body is sent while the response's is read. */
  | "duplex"
  | "trailers"
  | "trailers of HEAD"
  /** A request may have another length than it says, and only its call fails. */
  | "wrong lengths"
  /** Heads of up to 64 KiB, and headers of one connection. */
  | "any head"
  /** Cookies pass, which they do not where many names share an origin. */
  | "cookies"
  /** A call fails with a `StreamError`. */
  | "failures";

/** The caller's part of a case has a path of its own at the server, and a word that no other run has. */
export interface HttpCaller {
  readonly run: string;
  /** The bytes of a body that the way may hold which nobody reads. */
  readonly maxUnreadBytes: number;
  /** The whole URL of a path below that of the case. */
  url(path: string): string;
  /** Like `fetch`, for paths below that of the case. */
  fetch(pathOrRequest: string | Request, init?: RequestInit): Promise<Response>;
}

/** A request to a case: the path below that of the case, and the word of its run. */
export interface CaseRequest {
  request: Request;
  info: CallInfo;
  path: string;
  run: string;
}

/** Something that HTTP over a stream promises, whatever serves and whatever calls. */
export interface HttpCase {
  readonly name: string;
  readonly needs?: readonly Need[];
  /** "impatient": the server gives its handler up soon. */
  readonly server?: "impatient";
  /** "hundreds": so many calls at once take seconds where each of them starts a program. */
  readonly calls?: "hundreds";
  readonly handle: (given: CaseRequest) => Response | Promise<Response>;
  readonly call: (caller: HttpCaller) => Promise<void>;
}

/** Promises by name, which one request of a run settles and another awaits. */
const happenings = new Map<string, Happening>();

interface Happening {
  promise: Promise<string>;
  resolve: (value: string) => void;
}

/** Something that happens at the server in a run: noted by one request, awaited by another. */
export function happening(run: string, word: string): Happening {
  const key = `${run} ${word}`;
  const known = happenings.get(key);
  if (known !== undefined) return known;
  // Not every engine has `Promise.withResolvers`.
  let resolve = (_value: string) => {};
  const promise = new Promise<string>((settle) => {
    resolve = settle;
  });
  const made = { promise, resolve };
  happenings.set(key, made);
  return made;
}
