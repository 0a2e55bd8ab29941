import type { FrameHead } from "../../leg/frame-head.js";
import type { Parts } from "../../leg/parts.js";

/** A frame on its way through the relay: its head, and the envelope in which it came and leaves. */
export interface RelayedFrame extends FrameHead {
  envelope: Parts;
}
