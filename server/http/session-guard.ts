import { constants, type ServerHttp2Session, type ServerHttp2Stream } from "node:http2";
import type { Socket } from "node:net";
import { atIntervals } from "../../link/at-intervals.js";
import type { Clock } from "../../stream/platform/clock.js";
import { TokenBucket } from "../admission/rates/token-bucket.js";

/**
 * PINGs and SETTINGS that a client may send at once, and in a second. A client keeps a connection alive with one PING
 * in some seconds, and changes its settings a few times in all.
 */
const controlFrames = { burst: 1_000, perSecond: 10 };
/**
 * Bytes sent to a client that allow it one more PING. The gRPC libraries of Go and C measure the bandwidth with a PING
 * for each piece of data that they get, and the smallest piece has more than this.
 */
const bytesPerPing = 32;
/** The frame that answers a PING, which earns its sender nothing. The answer to SETTINGS is smaller. */
const pingFrameBytes = 17;
const frameHeadBytes = 9;
/** Bytes are counted so often, and a flood is cut off at most two of these intervals after its first byte. */
const lookIntervalMs = 1_000;
/**
 * Bytes in one interval that are neither data for a call nor matched by bytes sent to the client. A client that has not
 * heard yet that its call is over may still send data for it, up to the connection's window of 4 MiB; twice as much is
 * allowed. WINDOW_UPDATEs of 13 bytes come to 645,000 a second then, which cost the relay a twentieth of a core.
 */
export const maxIdleBytes = 8_388_608;

/**
 * Calls that a client may open and reset within one turn of the event loop, which is one read of the network. Node
 * counts resets as well, but hands out all 2,000 calls that a read may bring before it cuts a client off. A call that
 * is opened and reset takes a tenth of a millisecond, so 100 of them hold up others for 10 ms.
 */
export const maxResetsInTurn = 100;

export interface SessionGuardInit {
  clock: Clock;
  /**
   * A connection is closed if it has brought no call by then, or if its client, while no call is open, answers no PING
   * in this time.
   */
  firstCallTimeoutMs: number;
  /**
   * Whether its client is a trusted proxy, which hands on the resets of all its callers and is not cut off for them.
   */
  isProxy: boolean;
  /** Called once, before the connection is cut off, with what its client did. */
  onFlood(what: string): void;
}

/**
 * Cuts off a connection of HTTP/2 whose client sends frames that serve no call, never a call, or the head of a call too
 * slowly. Node itself cuts off clients that reset too many calls, that send frames which break the rules, and that
 * leave answers unread.
 */
export class SessionGuard {
  readonly #session: ServerHttp2Session;
  readonly #socket: Socket;
  readonly #init: SessionGuardInit;
  readonly #control: TokenBucket;
  readonly #stops: (() => void)[] = [];
  #openCalls = 0;
  /** The time without an open call since the client was asked for a sign of life, or since the last call began. */
  #quiet = { looks: 0, isAsked: false };
  /** The calls of this turn that were reset in it. Undefined in a turn without calls. */
  #turn: { resets: number } | undefined;
  /** Bytes of the frames that brought data for calls. */
  #dataBytes = 0;
  /** PINGs and SETTINGS so far, each of which was answered. */
  #answers = 0;
  /** The bytes that had been answered and sent when the client last earned tokens. */
  #paid = { answers: 0, writtenBytes: 0 };
  /** The counts of bytes at the last look. */
  #seen = { dataBytes: 0, readBytes: 0, writtenBytes: 0 };

  /** `socket`: the session's own, which refuses to be destroyed through `session.socket`. */
  constructor(session: ServerHttp2Session, socket: Socket, init: SessionGuardInit) {
    this.#session = session;
    this.#socket = socket;
    this.#init = init;
    this.#control = new TokenBucket(init.clock, controlFrames);
    const onPing = () => this.#onControl("PING");
    const onSettings = () => this.#onControl("SETTINGS");
    const onStream = (stream: ServerHttp2Stream) => this.#onStream(stream);
    session.on("ping", onPing).on("remoteSettings", onSettings).on("stream", onStream);
    const stopWaiting = init.clock.after(init.firstCallTimeoutMs, () => this.#end(constants.NGHTTP2_NO_ERROR), false);
    session.once("stream", stopWaiting);
    this.#stops.push(
      () => session.off("ping", onPing).off("remoteSettings", onSettings).off("stream", onStream),
      () => session.off("stream", stopWaiting),
      stopWaiting,
      atIntervals(init.clock, lookIntervalMs, () => this.#look()),
    );
  }

  stop(): void {
    for (const stop of this.#stops.splice(0)) stop();
  }

  #onControl(name: string): void {
    this.#answers += 1;
    if (!this.#control.take(() => this.#earned())) this.#cutOff(`more ${name} than it has any use for`);
  }

  /** The tokens that a client has earned by bytes that were sent to it, other than answers to its PINGs. */
  #earned(): number {
    const { bytesWritten: writtenBytes } = this.#socket;
    const answerBytes = (this.#answers - this.#paid.answers) * pingFrameBytes;
    const earned = Math.max(0, writtenBytes - this.#paid.writtenBytes - answerBytes) / bytesPerPing;
    this.#paid = { answers: this.#answers, writtenBytes };
    return earned;
  }

  readonly #onClosed = (): void => {
    this.#openCalls -= 1;
  };

  /** Each chunk that comes for a call passes `push`, whoever reads it. */
  #onStream(stream: ServerHttp2Stream): void {
    this.#openCalls += 1;
    this.#quiet = { looks: 0, isAsked: false };
    // `on`, because Node wraps a listener of `once` in 136 bytes for as long as the call lives.
    stream.on("close", this.#onClosed);
    const turn = this.#turn ?? this.#beginTurn();
    const onReset = () => {
      if (turn !== this.#turn || this.#init.isProxy) return;
      turn.resets += 1;
      if (turn.resets === maxResetsInTurn + 1) this.#cutOff("more resets than it has any use for");
    };
    // Node emits "stream" before it reads the frames behind a head, or after it has read all that came.
    if (stream.aborted) return onReset();
    stream.on("aborted", onReset);
    const push = stream.push;
    stream.push = (chunk: Buffer | null, encoding?: BufferEncoding) => {
      if (chunk !== null) this.#dataBytes += chunk.byteLength + frameHeadBytes;
      return push.call(stream, chunk, encoding);
    };
  }

  #beginTurn(): { resets: number } {
    const turn = { resets: 0 };
    this.#turn = turn;
    setImmediate(() => {
      this.#turn = undefined;
    });
    return turn;
  }

  #look(): void {
    const { bytesRead: readBytes, bytesWritten: writtenBytes } = this.#socket;
    const before = this.#seen;
    this.#seen = { dataBytes: this.#dataBytes, readBytes, writtenBytes };
    const served = this.#dataBytes - before.dataBytes + writtenBytes - before.writtenBytes;
    if (readBytes - before.readBytes - served > maxIdleBytes) this.#cutOff("megabytes of frames that serve no call");
    else if (this.#openCalls === 0) this.#lookAtQuiet();
  }

  /**
   * Closes a connection without open calls whose client does not answer a PING in time. The head of a call must not be
   * mixed with other frames, so a client that sends one slowly cannot answer, while an idle client does.
   */
  #lookAtQuiet(): void {
    const quiet = this.#quiet;
    quiet.looks += 1;
    if (quiet.looks * lookIntervalMs < this.#init.firstCallTimeoutMs) return;
    if (quiet.isAsked) return this.#end(constants.NGHTTP2_NO_ERROR);
    quiet.looks = 0;
    quiet.isAsked = true;
    if (this.#session.destroyed) return;
    this.#session.ping((error) => {
      if (error === null) quiet.isAsked = false;
    });
  }

  #cutOff(what: string): void {
    this.#init.onFlood(what);
    this.#end(constants.NGHTTP2_ENHANCE_YOUR_CALM);
  }

  #end(code: number): void {
    this.stop();
    this.#session.destroy(undefined, code);
    // The session itself waits for bytes that the client does not take.
    this.#socket.destroy();
  }
}
