import { ProgramProcess } from "./program-process.ts";

export interface BystanderOrder {
  port: number;
  isSecure: boolean;
  /** The access token of its calls, if it needs one. */
  token: string | undefined;
}

export type BystanderQuestion = Record<string, never>;

export interface Quantiles {
  count: number;
  median: number;
  p99: number;
  max: number;
}

/** The times since the last question. */
export interface BystanderFigures {
  /** Round trips of messages on streams that are open. */
  roundTripsMs: Quantiles;
  /** Times in which new streams were accepted. */
  pairingsMs: Quantiles;
}

/**
 * A well-behaved caller in a process of its own: it echoes over a WebSocket and over HTTP/2, and connects anew all the
 * while. It ends, and does not answer any more, if one of its streams does.
 */
export class Bystander {
  readonly #process: ProgramProcess<BystanderQuestion, BystanderFigures>;

  private constructor(process: ProgramProcess<BystanderQuestion, BystanderFigures>) {
    this.#process = process;
  }

  static async start(order: BystanderOrder): Promise<Bystander> {
    const [process] = await ProgramProcess.start<BystanderQuestion, BystanderFigures, object>(
      "bystander-program.ts",
      order,
    );
    return new Bystander(process);
  }

  figures(): Promise<BystanderFigures> {
    return this.#process.ask({});
  }

  async end(): Promise<void> {
    await this.#process.end();
  }
}
