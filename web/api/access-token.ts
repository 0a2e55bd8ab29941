import type { MessageInitShape } from "@bufbuild/protobuf";
import { Code, type Transport } from "@connectrpc/connect";
import { Hop } from "../../gen/streamserver/v1/failure_pb.js";
import { RelayService, type RenewRequestSchema } from "../../gen/streamserver/v1/relay_pb.js";
import { messageOf, StreamError } from "../../stream/error/stream-error.js";
import type { Clock } from "../../stream/platform/clock.js";
import { Deferred } from "../../stream/platform/deferred.js";
import { callUnary } from "../link/rpc-call.js";

/** An access token, or a function that is asked for one each time that it is needed. */
export type AccessToken = string | (() => string | Promise<string>);

/** A function has this long to answer, as long as a relay has. */
const tokenTimeoutMs = 10_000;

/**
 * Resolves with the token that the function gives. Rejects with `unauthenticated` of HOP_CALLER if it fails, gives no
 * string, or takes more than 10 s.
 */
export async function askForToken(ask: () => string | Promise<string>, clock: Clock): Promise<string> {
  const late = new Deferred<never>();
  // A function that is at work keeps a process alive by itself, if it is to.
  const cancelDeadline = clock.after(tokenTimeoutMs, () => late.reject("it took too long"), false);
  try {
    const token: unknown = await Promise.race([ask(), late.promise]);
    if (typeof token === "string") return token;
    throw "it is no string";
  } catch (cause) {
    const message = `there is no access token: ${messageOf(cause)}`;
    throw new StreamError(message, { code: Code.Unauthenticated, hop: Hop.CALLER, cause });
  } finally {
    cancelDeadline();
  }
}

/** An answer of a function counts for so long, for streams whose tokens expire at the same time. */
const sharedForMs = 1_000;

/** Returns a function that asks `token` for many streams at once. A text is not asked for a newer one. */
export function sharedToken(token: AccessToken | undefined, clock: Clock): AccessToken | undefined {
  if (typeof token !== "function") return undefined;
  let last: { answer: string | Promise<string>; askedAtMs: number } | undefined;
  return () => {
    const nowMs = clock.now();
    if (last === undefined || nowMs - last.askedAtMs > sharedForMs) last = { answer: token(), askedAtMs: nowMs };
    return last.answer;
  };
}

/** A grant that ends sooner than this is left to end: a token for less than a second is of no use. */
const minRenewalMs = 1_000;
/** The relay has this long to answer `Renew`. */
const renewTimeoutMs = 5_000;

/** Where a token is renewed, and the proof of what lives by it. */
export interface Renewed {
  transport: Transport;
  proof: MessageInitShape<typeof RenewRequestSchema>;
  /** Takes the relay's own token that is the proof from now on. */
  onToken: (token: string) => void;
}

/**
 * Puts newer tokens of a function in the place of one that would end what it has opened: when three quarters of its
 * time are over, and if that fails when three quarters of the rest are.
 */
export class TokenRenewal {
  readonly #token: AccessToken | undefined;
  readonly #clock: Clock;
  readonly #renewed: () => Renewed;
  #stop = () => {};

  constructor(token: AccessToken | undefined, clock: Clock, renewed: () => Renewed) {
    this.#token = token;
    this.#clock = clock;
    this.#renewed = renewed;
  }

  /** The token is good for so many milliseconds, or for good if 0. */
  expect(leftMs: number): void {
    this.#stop();
    const token = this.#token;
    if (leftMs < minRenewalMs || typeof token !== "function") return;
    let isOver = false;
    const again = (ms: number) => {
      if (!isOver) this.expect(ms);
    };
    const renew = () => void this.#renew(token).then(again, () => again(leftMs / 4));
    const cancel = this.#clock.after(leftMs * 0.75, renew, false);
    this.#stop = () => {
      isOver = true;
      cancel();
    };
  }

  stop(): void {
    this.expect(0);
  }

  async #renew(token: () => string | Promise<string>): Promise<number> {
    const accessToken = await askForToken(token, this.#clock);
    const { transport, proof, onToken } = this.#renewed();
    const request = { ...proof, accessToken };
    const { renew } = RelayService.method;
    const answer = await callUnary(transport, renew, request, { timeoutMs: renewTimeoutMs });
    if (answer.token !== "") onToken(answer.token);
    return answer.accessExpiresInMs;
  }
}
