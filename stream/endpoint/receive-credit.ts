/**
 * The credit that a receiver gives to its peer: up to a window more than was read. Grants are absolute offsets, counted
 * from the first byte.
 *
 * The owner decides when a grant is worth its bytes. A peer that waits for room for `n` bytes at once gets it, if the
 * owner grants before more than `windowBytes - n` bytes can be granted.
 */
export class ReceiveCredit {
  #windowBytes: number;
  #grantedBytes: number;
  #receivedBytes = 0;
  #unreadBytes = 0;

  /** The peer may send `initialBytes`, at most the window, before the first grant. */
  constructor(windowBytes: number, initialBytes = windowBytes) {
    this.#windowBytes = windowBytes;
    this.#grantedBytes = initialBytes;
  }

  get windowBytes(): number {
    return this.#windowBytes;
  }

  /** Bytes that have come and were not read. */
  get unreadBytes(): number {
    return this.#unreadBytes;
  }

  /** Bytes that have come since the stream began. */
  get receivedBytes(): number {
    return this.#receivedBytes;
  }

  /** Counts bytes that have come. Returns false if the peer has sent more than was granted. */
  receive(bytes: number): boolean {
    this.#receivedBytes += bytes;
    this.#unreadBytes += bytes;
    return this.#receivedBytes <= this.#grantedBytes;
  }

  /** Counts bytes that were read, which makes room for as many. */
  read(bytes: number): void {
    this.#unreadBytes -= bytes;
  }

  /** Bytes that a grant adds now, while so many of the unread bytes count against the window. */
  grantableBytes(heldBytes = this.#unreadBytes): number {
    return this.#receivedBytes + this.#windowBytes - heldBytes - this.#grantedBytes;
  }

  /**
   * Returns the offset to grant, which the owner tells the peer. It is the last one again if nothing can be added, for
   * a peer that may not have heard of it.
   */
  grant(heldBytes = this.#unreadBytes): number {
    this.#grantedBytes += Math.max(this.grantableBytes(heldBytes), 0);
    return this.#grantedBytes;
  }

  /**
   * Doubles the window of a reader that has read everything, up to `maxWindowBytes` and if `take` gives the bytes for
   * it.
   */
  widen(maxWindowBytes: number, take: (bytes: number) => boolean): void {
    if (this.#unreadBytes > 0 || this.#windowBytes >= maxWindowBytes) return;
    if (take(this.#windowBytes)) this.#windowBytes *= 2;
  }
}
