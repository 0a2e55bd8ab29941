import type { JsonValue } from "@bufbuild/protobuf";

/** The two endpoints of a stream. */
export type Side = "client" | "listener";

/** A message of the protocol: its name, its bytes in hexadecimal, and its JSON for people. */
export interface VectorMessage {
  type: string;
  bytes: string;
  json: JsonValue;
}

/** An action of an endpoint or of its application, or an event of one of them. */
export type VectorAction =
  | { does: "writes" | "reads"; text: string }
  | { does: "resets"; code: number; reason: string }
  | { does: "finishes" | "acknowledges" | "reads the end" | "is suspended" | "is resumed" | "closes" }
  | { does: "sends" | "gets"; leg: number; message: VectorMessage }
  | { does: "breaks" | "completes"; leg: number }
  | { does: "is refused"; leg: number; code: number; detail: VectorMessage }
  | { does: "is offered" | "calls"; message: VectorMessage }
  | { does: "fails"; code: number; failure: string; delivered: number; final: boolean };

export type VectorStep = { at: Side } & VectorAction;

/** A stream with a break, as its endpoints see it. docs/protocol.md describes the format. */
export interface ResumeVector {
  title: string;
  about: string;
  /** The window of each endpoint, in bytes. */
  window_bytes: Record<Side, number>;
  steps: VectorStep[];
}
