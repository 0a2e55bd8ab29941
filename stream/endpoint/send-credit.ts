/**
 * How much a sender may send. The receiver grants absolute offsets, so a grant that comes twice, late or not at all
 * takes nothing back and adds nothing twice.
 */
export class SendCredit {
  #sentBytes = 0;
  #grantedBytes: number;
  #windowBytes: number;

  /** `initialBytes` may be sent before the first grant. */
  constructor(initialBytes: number) {
    this.#grantedBytes = initialBytes;
    this.#windowBytes = initialBytes;
  }

  /** Bytes that were sent since the stream began. */
  get sentBytes(): number {
    return this.#sentBytes;
  }

  /** Bytes that may be sent now. */
  get roomBytes(): number {
    return this.#grantedBytes - this.#sentBytes;
  }

  /** The most room that the first credit or a grant has made, which is at most the receiver's window. */
  get windowBytes(): number {
    return this.#windowBytes;
  }

  /** Counts bytes that are sent. The caller sends no more than `roomBytes`. */
  send(bytes: number): void {
    this.#sentBytes += bytes;
  }

  /** Allows to send up to an offset, counted from the first byte. A lower offset than before changes nothing. */
  grant(offsetBytes: number): void {
    this.#grantedBytes = Math.max(this.#grantedBytes, offsetBytes);
    this.#windowBytes = Math.max(this.#windowBytes, this.roomBytes);
  }
}
