import { ReceiveCredit } from "../../../stream/endpoint/receive-credit.js";
import { SendCredit } from "../../../stream/endpoint/send-credit.js";

export interface CreditedWireInit {
  windowBytes: number;
  /** The bytes that may be sent before the first grant. */
  initialBytes: number;
  /** The sender cuts messages into pieces of this size, and sends a piece only whole. */
  maxPieceBytes: number;
  /** The receiver grants when it can grant this much. */
  minGrantBytes: number;
  maxWindowBytes: number;
  /** Returns whether the window may grow by so many bytes. */
  take: (bytes: number) => boolean;
  /** The sizes of the messages. */
  messages: readonly number[];
  /** Whether the reader gets pieces as they come, or whole messages, whose pieces the receiver joins. */
  reads: "pieces" | "messages";
}

interface Piece {
  bytes: number;
  isLast: boolean;
}

/**
 * A sender, a receiver, and the wires between them, which count with a `SendCredit` and a `ReceiveCredit` as endpoints
 * and channels do. Each method is one move and returns whether there was something to do. The sums beside the credit
 * are the simulator's own.
 */
export class CreditedWire {
  readonly sendCredit: SendCredit;
  readonly receiveCredit: ReceiveCredit;
  readonly #init: CreditedWireInit;
  readonly #toSend: Piece[];
  readonly #data: Piece[] = [];
  /** Grants on their way, and those that have arrived. */
  readonly #grants: number[] = [];
  readonly #arrivedGrants: number[] = [];
  /** The sizes of the pieces or messages that wait for the reader. */
  readonly #readable: number[] = [];
  /** Every offset that was granted, in order. */
  readonly granted: number[] = [];
  /** The moves at which the credit did something else than it has to. */
  readonly faults: string[] = [];
  sentBytes = 0;
  receivedBytes = 0;
  readBytes = 0;
  /** Bytes of a message whose last piece has not come. */
  unfinishedBytes = 0;
  /** The highest offset that the sender has heard of. */
  heardBytes: number;
  /** The most room that the sender had after hearing of an offset. */
  mostRoomBytes: number;
  /** The window as it has to be. */
  windowBytes: number;

  constructor(init: CreditedWireInit) {
    this.#init = init;
    this.sendCredit = new SendCredit(init.initialBytes);
    this.receiveCredit = new ReceiveCredit(init.windowBytes, init.initialBytes);
    this.#toSend = init.messages.flatMap((bytes) => piecesOf(bytes, init.maxPieceBytes));
    this.heardBytes = init.initialBytes;
    this.mostRoomBytes = init.initialBytes;
    this.windowBytes = init.windowBytes;
  }

  /** Sends the next piece if there is room for it. */
  send(): boolean {
    const piece = this.#toSend[0];
    if (piece === undefined || piece.bytes > this.sendCredit.roomBytes) return false;
    this.#toSend.shift();
    this.sendCredit.send(piece.bytes);
    this.sentBytes += piece.bytes;
    this.#data.push(piece);
    return true;
  }

  /** The next piece arrives. */
  deliver(): boolean {
    const piece = this.#data.shift();
    if (piece === undefined) return false;
    if (!this.receiveCredit.receive(piece.bytes)) this.faults.push("a piece was beyond the credit");
    this.receivedBytes += piece.bytes;
    this.unfinishedBytes += piece.bytes;
    if (piece.isLast || this.#init.reads === "pieces") {
      this.#readable.push(this.unfinishedBytes);
      this.unfinishedBytes = 0;
    }
    return true;
  }

  read(): boolean {
    const bytes = this.#readable.shift();
    if (bytes === undefined) return false;
    this.receiveCredit.read(bytes);
    this.readBytes += bytes;
    return true;
  }

  /** Bytes that count against the window: an unfinished message does only while the reader has something to read. */
  get heldBytes(): number {
    return this.#readable.length > 0 ? this.receivedBytes - this.readBytes : 0;
  }

  /** Grants if at least `minBytes` can be granted. */
  grant(minBytes = this.#init.minGrantBytes): boolean {
    if (this.receiveCredit.grantableBytes(this.heldBytes) < minBytes) return false;
    const { maxWindowBytes, take } = this.#init;
    const widenings: number[] = [];
    const mayWiden = this.readBytes === this.receivedBytes && this.windowBytes < maxWindowBytes;
    const due = mayWiden ? [this.windowBytes] : [];
    this.receiveCredit.widen(maxWindowBytes, (bytes) => {
      widenings.push(bytes);
      const isTaken = take(bytes);
      if (isTaken) this.windowBytes += bytes;
      return isTaken;
    });
    if (widenings.join() !== due.join()) this.faults.push(`asked for ${widenings} in place of ${due} to widen`);
    const offset = this.receiveCredit.grant(this.heldBytes);
    if (offset <= (this.granted.at(-1) ?? this.#init.initialBytes)) this.faults.push(`granted ${offset} again`);
    this.granted.push(offset);
    this.#grants.push(offset);
    return true;
  }

  /** A grant arrives, not necessarily the one that was sent first. */
  deliverGrant(at = 0): boolean {
    const [offset] = this.#grants.splice(at % Math.max(this.#grants.length, 1), 1);
    if (offset === undefined) return false;
    this.#arrivedGrants.push(offset);
    this.#hear(offset);
    return true;
  }

  /** A grant that has arrived before arrives again. */
  repeatGrant(at: number): boolean {
    const offset = this.#arrivedGrants[at % Math.max(this.#arrivedGrants.length, 1)];
    if (offset === undefined) return false;
    this.#hear(offset);
    return true;
  }

  #hear(offset: number): void {
    this.sendCredit.grant(offset);
    this.heardBytes = Math.max(this.heardBytes, offset);
    this.mostRoomBytes = Math.max(this.mostRoomBytes, this.heardBytes - this.sentBytes);
  }

  /** Everybody does what they can, in turn, until nobody can do anything. `step` is called after each round. */
  runToTheEnd(step: () => void): void {
    for (let moved = true; moved; step()) {
      const moves = [this.send(), this.deliver(), this.read(), this.grant(), this.deliverGrant()];
      moved = moves.includes(true);
    }
  }
}

function piecesOf(bytes: number, maxPieceBytes: number): Piece[] {
  const pieces: Piece[] = [];
  for (let left = bytes; left > 0; left -= maxPieceBytes) {
    pieces.push({ bytes: Math.min(left, maxPieceBytes), isLast: left <= maxPieceBytes });
  }
  return pieces;
}
