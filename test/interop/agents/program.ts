/** The place that a program runs in: a process, or a tab that acts as one. */
export interface Place {
  /** The name of the place in the program's greeting. */
  readonly language: string;
  /** `RELAY NAME [PASSWORD]`, and `--binary` for a client. */
  readonly args: readonly string[];
  readonly input: AsyncIterable<Uint8Array>;
  /** The signal that SIGINT aborts. */
  readonly interrupted: AbortSignal;
  stdout(data: string | Uint8Array): void;
  stderr(text: string): void;
}

/** Runs to its end, and resolves with the exit code. */
export type Program = (place: Place) => Promise<number>;
