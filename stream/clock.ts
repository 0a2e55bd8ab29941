/** Time, handed in, so that a test can own it. */
export interface Clock {
  /** Milliseconds since some fixed point. */
  now(): number;
  /** Calls `action` once after `delayMs`; the returned function calls it off, and may be called at any time. */
  after(delayMs: number, action: () => void): () => void;
}
