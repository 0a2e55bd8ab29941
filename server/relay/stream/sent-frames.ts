import type { RelayedFrame } from "./relayed-frame.js";

/** Counts the frames that one endpoint of a stream has sent. It reads no clock, because it counts each frame. */
export class SentFrames {
  /** Frames that the relay has taken, those included that were sent again. */
  frames = 0;
  /** Their bytes, with their envelopes. */
  bytes = 0;
  /** The highest number of a frame. 0 if none had a number. */
  sequence = 0;
  /** The cost of the numbered frames, each counted once, which is the offset that the peer's credit bounds. */
  costBytes = 0;
  /** The highest offset that the endpoint has granted to its peer. 0 if it has granted none. */
  creditBytes = 0;
  /** The most that the peer might send after a grant, which is at most the window of the endpoint. */
  windowBytes = 0;
  /** Whether all frames since the stream began are counted, so that `costBytes` is the offset. */
  isWhole = true;

  /** `peer` counts what comes the other way. */
  count({ envelope, sequence, credit, costBytes }: RelayedFrame, peer: SentFrames): void {
    this.frames += 1;
    this.bytes += envelope.byteLength;
    if (credit > this.creditBytes) {
      this.creditBytes = credit;
      this.windowBytes = Math.max(this.windowBytes, credit - peer.costBytes);
    }
    // A frame that is sent again after the endpoint has lost its leg costs nothing anew.
    if (sequence <= this.sequence) return;
    this.sequence = sequence;
    this.costBytes += costBytes;
  }
}
