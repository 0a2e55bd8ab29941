import { create, type DescMessage, type Message, type MessageInitShape, toBinary, toJson } from "@bufbuild/protobuf";
import type { Code } from "@connectrpc/connect";
import { Failure, FailureDetailSchema } from "../../gen/streamserver/v1/failure_pb.js";
import { FrameSchema, type ResetSchema } from "../../gen/streamserver/v1/frame_pb.js";
import {
  AcceptRequestSchema,
  AcceptResponseSchema,
  ConnectRequestSchema,
  ConnectResponseSchema,
  OfferSchema,
  RejectRequestSchema,
} from "../../gen/streamserver/v1/relay_pb.js";
import { dataOf } from "../../leg/envelope.js";
import { frameEnvelope } from "../../leg/frame-envelope.js";
import { frameFromWire } from "../../leg/wire-frame.js";
import { messageOverheadBytes } from "../../stream/endpoint/sender.js";
import type { ResumeVector, Side, VectorAction, VectorMessage, VectorStep } from "./resume-vector.js";

/** The fields of a frame that a vector may have. */
export interface FrameInit {
  sequence?: number;
  ack?: number;
  credit?: number;
  messages?: { data: Uint8Array; text?: boolean; more?: boolean }[];
  fin?: boolean;
  reset?: MessageInitShape<typeof ResetSchema>;
}
type RequestInit = MessageInitShape<typeof ConnectRequestSchema>["message"];
type ResponseInit = MessageInitShape<typeof ConnectResponseSchema>["message"];

const requestSchemas: Record<Side, DescMessage> = { client: ConnectRequestSchema, listener: AcceptRequestSchema };
const responseSchemas: Record<Side, DescMessage> = { client: ConnectResponseSchema, listener: AcceptResponseSchema };

/** An endpoint whose steps are written down, on its newest leg unless another one is named. */
export class ScriptedSide {
  readonly #side: Side;
  readonly #windowBytes: number;
  readonly #steps: VectorStep[];
  leg = 0;
  receivedSequence = 0;
  #ackedSequence = 0;
  #receivedBytes = 0;

  constructor(side: Side, windowBytes: number, steps: VectorStep[]) {
    this.#side = side;
    this.#windowBytes = windowBytes;
    this.#steps = steps;
  }

  writes(...texts: string[]): void {
    for (const text of texts) this.add({ does: "writes", text });
  }

  reads(...texts: string[]): void {
    for (const text of texts) this.add({ does: "reads", text });
  }

  sends(init: RequestInit): void {
    this.add({ does: "sends", leg: this.leg, message: messageOf(requestSchemas[this.#side], { message: init }) });
  }

  gets(init: ResponseInit): void {
    this.add({ does: "gets", leg: this.leg, message: messageOf(responseSchemas[this.#side], { message: init }) });
  }

  sendsFrame(init: FrameInit): void {
    this.#ackedSequence = Math.max(this.#ackedSequence, init.ack ?? 0);
    this.add({ does: "sends", leg: this.leg, message: frameIn(requestSchemas[this.#side], init) });
  }

  getsFrame(init: FrameInit): void {
    this.add({ does: "gets", leg: this.leg, message: frameIn(responseSchemas[this.#side], init) });
    if (init.sequence !== this.receivedSequence + 1) return;
    this.receivedSequence += 1;
    for (const { data } of init.messages ?? []) this.#receivedBytes += data.byteLength + messageOverheadBytes;
  }

  /** The ack that any frame carries, if the endpoint owes one. */
  get owedAck(): FrameInit {
    return this.receivedSequence > this.#ackedSequence ? { ack: this.receivedSequence } : {};
  }

  /** The ack and the credit that the first frame after a resume says again, if all messages that came were read. */
  get toldAgain(): FrameInit {
    return { ack: this.receivedSequence, credit: this.#windowBytes + this.#receivedBytes };
  }

  isOffered(init: MessageInitShape<typeof OfferSchema>): void {
    this.add({ does: "is offered", message: messageOf(OfferSchema, init) });
  }

  breaks(): void {
    this.add({ does: "breaks", leg: this.leg });
    this.add({ does: "is suspended" });
  }

  completes(): void {
    this.add({ does: "completes", leg: this.leg });
  }

  isRefused(code: Code, detail: MessageInitShape<typeof FailureDetailSchema>, leg = this.leg): void {
    this.add({ does: "is refused", leg, code, detail: messageOf(FailureDetailSchema, detail) });
  }

  calls(init: MessageInitShape<typeof RejectRequestSchema>): void {
    this.add({ does: "calls", message: messageOf(RejectRequestSchema, init) });
  }

  fails(code: Code, failure: Failure, delivered: number, final: "final" | "at least"): void {
    const name = `FAILURE_${Failure[failure]}`;
    this.add({ does: "fails", code, failure: name, delivered, final: final === "final" });
  }

  add(action: VectorAction): void {
    this.#steps.push({ at: this.#side, ...action });
  }
}

/** Writes the steps of both endpoints down, in order. */
export class VectorScript {
  readonly #windowBytes: Record<Side, number>;
  readonly #steps: VectorStep[] = [];
  readonly client: ScriptedSide;
  readonly listener: ScriptedSide;

  constructor(windowBytes: Record<Side, number>) {
    this.#windowBytes = windowBytes;
    this.client = new ScriptedSide("client", windowBytes.client, this.#steps);
    this.listener = new ScriptedSide("listener", windowBytes.listener, this.#steps);
  }

  /** A frame that gets from the client to the listener. */
  toListener(init: FrameInit): void {
    this.client.sendsFrame(init);
    this.listener.getsFrame(init);
  }

  /** A frame that gets from the listener to the client. */
  toClient(init: FrameInit): void {
    this.listener.sendsFrame(init);
    this.client.getsFrame(init);
  }

  vector(title: string, about: string): ResumeVector {
    return { title, about, window_bytes: this.#windowBytes, steps: this.#steps };
  }
}

function messageOf(schema: DescMessage, init: object): VectorMessage {
  const message = create(schema, init as never);
  return described(schema, message, toBinary(schema, message));
}

/** A frame as this project's own encoder writes it: the order of its fields is not that of their numbers. */
function frameIn(schema: DescMessage, init: FrameInit): VectorMessage {
  const { sequence = 0, ack = 0, credit = 0, ...rest } = init;
  const numbers = { sequence: BigInt(sequence), ack: BigInt(ack), credit: BigInt(credit) };
  const frame = create(FrameSchema, { ...numbers, ...rest });
  const message = create(schema, { message: { case: "frame", value: frame } } as never);
  return described(schema, message, dataOf(frameEnvelope(frameFromWire(frame))));
}

function described(schema: DescMessage, message: Message, bytes: Uint8Array): VectorMessage {
  const json = toJson(schema, message, { useProtoFieldName: true });
  return { type: schema.name, bytes: Buffer.from(bytes).toString("hex"), json };
}
