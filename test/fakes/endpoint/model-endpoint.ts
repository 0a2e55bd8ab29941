import type { Parts } from "../../../leg/parts.js";
import type { Relay } from "../../../server/relay/relay.js";
import type { Half, Role } from "../../../server/relay/stream/half.js";
import type { LegPort } from "../../../server/relay/stream/leg-port.js";
import type { RelayedFrame } from "../../../server/relay/stream/relayed-frame.js";
import type { StreamError } from "../../../stream/error/stream-error.js";
import { callBroke, noFacts, resumes, someCaller } from "../relays.js";

/** A frame of the model: its number, or 0 for one with nothing but an ack. */
interface ModelFrame {
  sequence: number;
  ack: number;
  fin: boolean;
}

type News =
  | { opened: string }
  | { frame: ModelFrame }
  | { resumed: number }
  | "accepted"
  | "suspended"
  | { end: StreamError | undefined };

/** Frames that may be under way on a leg before it is full. */
const maxUnderWay = 2;

const frames = new WeakMap<Parts, ModelFrame>();

function relayedModel(frame: ModelFrame): RelayedFrame {
  const envelope = {} as Parts;
  frames.set(envelope, frame);
  const { sequence, ack, fin } = frame;
  return { sequence, ack, credit: 0, costBytes: sequence > 0 ? 1 : 0, fin, reset: false, envelope };
}

/**
 * A leg with a network: what either side sends is under way until the test lets it arrive. A cut loses all that is
 * under way to the endpoint, and the relay notices it later.
 */
export class ModelLeg implements LegPort {
  readonly caller = someCaller;
  readonly half: Half;
  readonly down: News[] = [];
  readonly up: (ModelFrame | "end")[] = [];
  isCut = false;
  /** Whether the relay has ended the leg, or noticed that it is cut. */
  isOver = false;
  /** Whether the relay takes the next frame. */
  isReading = true;

  constructor(half: Half, legToken: string) {
    this.half = half;
    this.down.push({ opened: legToken });
  }

  sendAccepted(): void {
    this.#send("accepted");
  }

  sendFrame({ envelope }: RelayedFrame): boolean {
    return this.#send({ frame: frames.get(envelope) as ModelFrame });
  }

  sendSuspended(): boolean {
    return this.#send("suspended");
  }

  sendResumed(resumed: number): boolean {
    return this.#send({ resumed });
  }

  sendDraining(): void {}

  goOn(): void {
    this.isReading = true;
  }

  finish(end: StreamError | undefined): void {
    if (this.isOver) throw new Error("a leg was ended twice");
    this.#send({ end });
    this.isOver = true;
  }

  /** Lets the next thing that the endpoint has sent arrive at the relay. */
  arrive(): void {
    if (this.isOver || !this.isReading) return;
    const next = this.up.shift();
    if (next === "end") this.half.endRequest();
    else if (next !== undefined) this.isReading = this.half.put(relayedModel(next));
  }

  /** The relay notices that the leg is cut. */
  notice(): void {
    if (!this.isCut || this.isOver) return;
    this.half.lose(callBroke());
    this.isOver = true;
  }

  #send(news: News): boolean {
    if (this.isOver) throw new Error("the relay writes on a leg that is over");
    this.down.push(news);
    return this.down.length < maxUnderWay;
  }
}

/**
 * An endpoint that numbers, acknowledges, keeps and sends again, and does no more. It fails when it is told wrong
 * things.
 */
export class ModelEndpoint {
  readonly role: Role;
  leg: ModelLeg | undefined;
  /** All legs so far, of which the relay may still serve some. */
  readonly legs: ModelLeg[] = [];
  received = 0;
  sent = 0;
  isFinReceived = false;
  state: "open" | "finished" | "over" = "open";
  #generation = 0;
  #kept: ModelFrame[] = [];
  #unsent: ModelFrame[] = [];
  #awaits: "nothing" | "resumed" = "nothing";
  #gaps: "error" | "dropped" = "error";

  /** The token that the endpoint has heard last. */
  #legToken: string;

  constructor(role: Role, legToken: string) {
    this.role = role;
    this.#legToken = legToken;
  }

  /** Whether the peer has all, and has ended. */
  get isClosed(): boolean {
    return this.state === "finished" && this.#kept.length === 0 && this.isFinReceived;
  }

  begin(half: Half): void {
    this.#attached(new ModelLeg(half, this.#legToken));
    half.attach(this.leg as ModelLeg);
  }

  comeBack(relay: Relay, streamId: string): void {
    if (this.state === "over" || (this.leg !== undefined && !this.leg.isCut)) return;
    this.#generation += 1;
    const resume = { generation: this.#generation };
    const open = { streamId, legToken: this.#legToken, capabilities: resumes, name: "", resume };
    const half = relay.resume(this.role, { ...open, waitForListenerMs: 0 }, noFacts);
    this.#attached(new ModelLeg(half, relay.legToken(this.role, streamId)));
    this.#awaits = "resumed";
    this.#gaps = "dropped";
    half.attach(this.leg as ModelLeg, { ...resume, receivedSequence: this.received, knowsAccepted: true });
  }

  #attached(leg: ModelLeg): void {
    this.leg = leg;
    this.legs.push(leg);
  }

  write(fin = false): void {
    if (this.state !== "open") return;
    this.sent += 1;
    const frame = { sequence: this.sent, ack: 0, fin };
    this.#kept.push(frame);
    this.#unsent.push(frame);
    if (fin) this.state = "finished";
    this.flush();
  }

  acknowledge(): void {
    if (this.#awaits === "nothing") this.#send({ sequence: 0, ack: this.received, fin: false });
  }

  flush(): void {
    if (this.#awaits === "resumed" || this.leg === undefined || this.leg.isCut) return;
    for (const frame of this.#unsent.splice(0)) this.#send({ ...frame, ack: this.received });
  }

  /** Ends its request, if the stream is closed. */
  finish(): void {
    if (!this.isClosed || this.#awaits === "resumed" || this.leg === undefined || this.leg.up.includes("end")) return;
    this.acknowledge();
    this.leg.up.push("end");
  }

  cut(): void {
    if (this.leg === undefined || this.leg.isCut) return;
    this.leg.isCut = true;
    this.leg.down.length = 0;
  }

  /** The process of the relay has died, with all its legs. */
  kill(): void {
    this.cut();
    for (const leg of this.legs) leg.isOver = true;
  }

  /** Lets the next thing that the relay has sent on the newest leg arrive. */
  hear(): void {
    const { leg } = this;
    const news = leg?.isCut ? undefined : leg?.down.shift();
    if (leg === undefined || news === undefined) return;
    if (typeof news === "object" && "opened" in news) this.#legToken = news.opened;
    else if (typeof news === "object" && "frame" in news) this.#receive(news.frame);
    else if (typeof news === "object" && "resumed" in news) this.#onResumed(news.resumed);
    else if (typeof news === "object" && "end" in news) {
      if (news.end !== undefined && !this.isClosed) throw news.end;
      if (!this.isClosed) throw new Error(`the leg of the ${this.role} ended well before its stream`);
      this.state = "over";
    }
    if (leg.down.length < maxUnderWay && !leg.isOver) leg.half.drained();
  }

  #onResumed(sequence: number): void {
    this.#onAck(sequence);
    this.#awaits = "nothing";
    this.#unsent = [...this.#kept];
    this.flush();
    this.acknowledge();
  }

  #receive({ sequence, ack, fin }: ModelFrame): void {
    this.#onAck(ack);
    if (sequence === 0 || sequence <= this.received) return;
    if (sequence > this.received + 1) {
      if (this.#gaps === "dropped") return;
      throw new Error(`frame ${sequence} came to the ${this.role} after frame ${this.received}`);
    }
    this.#gaps = "error";
    this.received = sequence;
    this.isFinReceived ||= fin;
  }

  #onAck(ack: number): void {
    if (ack > this.sent) throw new Error(`an ack of ${ack}, and ${this.sent} were sent`);
    this.#kept = this.#kept.filter(({ sequence }) => sequence > ack);
    this.#unsent = this.#unsent.filter(({ sequence }) => sequence > ack);
  }

  #send(frame: ModelFrame): void {
    if (this.leg !== undefined && !this.leg.isCut && !this.leg.up.includes("end")) this.leg.up.push(frame);
  }
}
