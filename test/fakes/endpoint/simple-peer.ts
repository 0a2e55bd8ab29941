import type { MessageInitShape } from "@bufbuild/protobuf";
import type { MessageSchema } from "../../../gen/streamserver/v1/frame_pb.js";
import { rawCodec } from "../../../stream/codec.js";
import type { Frame } from "../../../stream/endpoint/frame.js";
import { frame } from "../frames.js";
import type { Value } from "./two-endpoints.js";

/**
 * The least that a client in another language does: sends data frames and fin, reads data frames; no credit, no acks.
 */
export class SimplePeer {
  readonly read: Value[] = [];
  /** Acks and credit that it was sent although it knows neither. */
  unwanted = 0;
  finished: "no" | "yes" = "no";
  readonly #frames: Frame[];
  #parts: Uint8Array[] = [];
  #received = 0;

  constructor(messages: readonly Value[], partBytes: number) {
    const parts = messages.flatMap((message) => split(message, partBytes));
    this.#frames = parts.map((part, at) => frame({ sequence: BigInt(at + 1), messages: [part] }));
    this.#frames.push(frame({ sequence: BigInt(parts.length + 1), fin: true }));
  }

  takeFrame(): Frame | undefined {
    return this.#frames.shift();
  }

  receive({ sequence, messages, fin, ack, credit }: Frame): void {
    if (ack > 0 || credit > 0) this.unwanted += 1;
    if (messages.length === 0 && !fin) return;
    if (sequence !== this.#received + 1) throw new Error(`frame ${sequence} came after ${this.#received}`);
    this.#received = sequence;
    for (const { data, text, more } of messages) {
      this.#parts.push(data);
      if (more) continue;
      this.read.push(rawCodec.decode({ data: Buffer.concat(this.#parts), text }) as Value);
      this.#parts = [];
    }
    if (fin) this.finished = "yes";
  }
}

function split(value: Value, partBytes: number): MessageInitShape<typeof MessageSchema>[] {
  const { data, text } = rawCodec.encode(value);
  const parts: MessageInitShape<typeof MessageSchema>[] = [];
  for (let from = 0; from === 0 || from < data.byteLength; from += partBytes) {
    const more = from + partBytes < data.byteLength;
    // Text on the first part only, which is the one that decides.
    parts.push({ data: data.slice(from, from + partBytes), text: text && from === 0, more });
  }
  return parts;
}
