/** Time, handed in, so that a test can own it. */
export interface Clock {
  /** Milliseconds since some fixed point. */
  now(): number;
  /**
   * Calls `action` once after `delayMs`; the returned function calls it off, and may be called at any time. In Node the
   * process waits for the timer, unless `keepsAlive` is false.
   */
  after(delayMs: number, action: () => void, keepsAlive?: boolean): () => void;
}
