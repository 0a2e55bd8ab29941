import type { MessageInitShape } from "@bufbuild/protobuf";
import type { Code } from "@connectrpc/connect";
import { Feature, type LimitsSchema } from "../../gen/streamserver/v1/relay_pb.js";
import { defaultLimits } from "../../server/admission/limits.js";
import { initialCreditBytes } from "../../stream/endpoint/sender.js";
import type { ResumeVector, Side } from "./resume-vector.js";
import { type FrameInit, VectorScript } from "./vector-script.js";

const graceMs = 120_000;
const streamId = "STREAM";
export const name = "demo";
const features = [Feature.CREDIT, Feature.ACK, Feature.RESUME];
const capabilities = { features };
const limits: MessageInitShape<typeof LimitsSchema> = {
  maxFrameBytes: defaultLimits.maxFrameBytes,
  features: [Feature.RESUME],
  graceMs,
};

const text = (said: string) => ({ data: new TextEncoder().encode(said), text: true });

/** A frame with a number and messages, which are text. */
export function data(sequence: number, texts: string[], rest: FrameInit = {}): FrameInit {
  return { sequence, messages: texts.map(text), ...rest };
}

/** A frame with nothing but an ack. */
export const ack = (sequence: number): FrameInit => ({ ack: sequence });

/** A stream from its opening on, with the steps that most vectors share. */
export class ScriptedStream extends VectorScript {
  readonly #tokens: Record<Side, number> = { client: 0, listener: 0 };
  readonly #onTheirWay: Record<Side, FrameInit[]> = { client: [], listener: [] };

  #token(side: Side): string {
    return `${side.toUpperCase()}-${this.#tokens[side]}`;
  }

  opens(): void {
    this.client.sends({ case: "open", value: { name, capabilities } });
    this.client.gets(this.#opened("client"));
  }

  isOffered(): void {
    this.listener.isOffered({ streamId, legToken: this.#token("listener"), acceptTimeoutMs: 10_000, capabilities });
  }

  accepts(): void {
    this.listener.sends({ case: "open", value: { streamId, legToken: this.#token("listener"), capabilities } });
    this.listener.gets(this.#opened("listener"));
  }

  isAccepted(): void {
    this.client.gets({ case: "accepted", value: { capabilities } });
  }

  /** Both legs are there, and nothing was said yet. */
  begins(): void {
    this.opens();
    this.isOffered();
    this.accepts();
    this.isAccepted();
  }

  /** The endpoint opens its next leg; the relay has not answered. */
  triesAgain(side: Side, more: { name?: string } = {}): void {
    const endpoint = this[side];
    endpoint.leg += 1;
    const resume = { receivedSequence: BigInt(endpoint.receivedSequence), generation: endpoint.leg };
    endpoint.sends({ case: "open", value: { streamId, legToken: this.#token(side), capabilities, resume, ...more } });
  }

  isOpened(side: Side): void {
    this[side].gets(this.#opened(side));
  }

  attachesAgain(side: Side): void {
    this.triesAgain(side);
    this.isOpened(side);
  }

  isSuspended(side: Side): void {
    this[side].gets({ case: "suspended", value: { graceMs } });
  }

  /** The peer's leg is gone, and this endpoint's is there. */
  hearsOfBreak(side: Side): void {
    this.isSuspended(side);
    this[side].add({ does: "is suspended" });
  }

  isResumed(side: Side, receivedSequence: number): void {
    this[side].gets({ case: "resumed", value: { receivedSequence: BigInt(receivedSequence) } });
    this[side].add({ does: "is resumed" });
  }

  /**
   * Both legs are there again. The endpoint sends these frames, and says its ack and its credit with the first one, or
   * with a frame of their own.
   */
  goesOn(side: Side, receivedSequence: number, first: FrameInit = {}, ...others: FrameInit[]): void {
    this.isResumed(side, receivedSequence);
    this.#onTheirWay[side] = [{ ...first, ...this[side].toldAgain }, ...others];
    for (const frame of this.#onTheirWay[side]) this[side].sendsFrame(frame);
  }

  /** The peer gets the frames with which the endpoint went on. */
  arrives(side: Side): void {
    const peer = side === "client" ? this.listener : this.client;
    for (const frame of this.#onTheirWay[side]) peer.getsFrame(frame);
  }

  /** The endpoint says something, which is lost with its leg or waits in the relay. */
  loses(side: Side, sequence: number, said: string): void {
    this[side].writes(said);
    this[side].sendsFrame(data(sequence, [said]));
  }

  /** The client says something, which the listener reads. */
  tells(sequence: number, said: string): void {
    this.client.writes(said);
    this.toListener(data(sequence, [said]));
    this.listener.reads(said);
  }

  /** The same, and the listener acknowledges it. */
  says(sequence: number, said: string): void {
    this.tells(sequence, said);
    this.listener.add({ does: "acknowledges" });
    this.toClient(ack(sequence));
  }

  rejects(side: Side, code: Code, reason: string): void {
    const receivedSequence = BigInt(this[side].receivedSequence);
    this[side].calls({ streamId, legToken: this.#token(side), code, reason, receivedSequence });
  }

  /** Both endpoints finish, and everything ends well. */
  ends(clientSequence: number, listenerSequence: number): void {
    this.listener.add({ does: "finishes" });
    this.toClient({ sequence: listenerSequence, fin: true, ...this.listener.owedAck });
    this.client.add({ does: "reads the end" });
    this.toListener(ack(listenerSequence));
    this.client.add({ does: "finishes" });
    this.toListener({ sequence: clientSequence, fin: true });
    this.listener.add({ does: "reads the end" });
    this.toClient(ack(clientSequence));
    this.complete();
  }

  /** Both endpoints are done and end their requests, and then the relay ends both calls well. */
  complete(): void {
    for (const side of [this.listener, this.client]) side.add({ does: "closes" });
    for (const side of [this.listener, this.client]) side.completes();
  }

  #opened(side: Side) {
    this.#tokens[side] += 1;
    return { case: "opened" as const, value: { streamId, legToken: this.#token(side), limits } };
  }
}

const windows = { client: initialCreditBytes, listener: initialCreditBytes };

/** A vector whose steps `write` writes down. */
export function vector(
  title: string,
  about: string,
  write: (stream: ScriptedStream) => void,
  windowBytes = windows,
): ResumeVector {
  const stream = new ScriptedStream(windowBytes);
  write(stream);
  return stream.vector(title, about);
}
