export interface EndpointOptions {
  /** The largest message taken from the peer, in bytes. Default 16 MiB. */
  maxMessageBytes?: number | undefined;
  /**
   * Messages may wait unread up to so many bytes; then the peer is stopped. Default 2 MiB; less than 64 KiB is 64 KiB.
   */
  windowBytes?: number | undefined;
  /** `write` returns false above so many bytes that wait to be sent. Default 256 KiB. */
  highWaterMarkBytes?: number | undefined;
  /**
   * Messages may wait to be sent up to so many bytes; more fails the stream. Frames kept for a peer that grants credit
   * and acknowledges nothing cost as much at most; then the next frame waits. Default 64 MiB.
   */
  maxBufferedBytes?: number | undefined;
  /**
   * The moment at which the peer's fin is acknowledged, after which its `closed` and `writable.close()` resolve:
   * "received", or "read", when the reader here has asked for more after the last message, but no later than half of
   * the relay's linger timeout. Default "received". With "read", a peer that has finished still hears of a reader that
   * fails.
   */
  acknowledgeEnd?: "received" | "read" | undefined;
}

export interface EndpointInit extends EndpointOptions {
  /**
   * Whether the endpoint can go on over another leg, for which it keeps the frames that the peer has not acknowledged.
   * Default false.
   */
  resume?: boolean | undefined;
}
