import type { LegCall, LegCaller, LegCallHandlers, LegMethod, Open } from "../../../leg/leg-call.js";
import type { Frame } from "../../../stream/endpoint/frame.js";

/** An endpoint that writes down what it hears on its leg. */
export class LegEndpoint implements LegCallHandlers {
  readonly heard: string[] = [];
  readonly frames: Frame[] = [];
  readonly ends: unknown[] = [];
  readonly call: LegCall;
  drains = 0;
  /** Pauses the call at each frame. */
  pausesAtFrames = false;

  constructor(caller: LegCaller, open: Open = { name: "room" }, method: LegMethod = "connect") {
    this.call = caller(method, open, this);
  }

  onHeader(): void {}

  onOpened(): void {
    this.heard.push("opened");
  }

  onAccepted(): void {
    this.heard.push("accepted");
  }

  onFrame(frame: Frame): void {
    this.heard.push(`frame ${frame.sequence}`);
    this.frames.push(frame);
    if (this.pausesAtFrames) this.call.pause();
  }

  onSuspended(graceMs: number): void {
    this.heard.push(`suspended ${graceMs}`);
  }

  onResumed(receivedSequence: number): void {
    this.heard.push(`resumed ${receivedSequence}`);
  }

  onDraining(graceMs: number): void {
    this.heard.push(`draining ${graceMs}`);
  }

  onDrain(): void {
    this.drains += 1;
  }

  onTransferredAway(): void {
    this.heard.push("transferred away");
  }

  onEnd(reason: unknown): void {
    this.ends.push(reason);
  }
}
