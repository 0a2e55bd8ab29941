import { type ParseArgsConfig, parseArgs } from "node:util";
import { maxTimerMs } from "../../server/admission/limits.js";

/** One thing that the program does. */
export interface Command {
  readonly name: string;
  /** One line. */
  readonly summary: string;
  /** The text that `--help` prints. */
  readonly help: string;
  /**
   * Resolves when all is done. Rejects with why it was not: a `UsageError`, a `StreamError`, or what the machine says.
   * When `signal` is aborted it tells the other side, and rejects with the signal's reason. `again` is aborted when the
   * user asks a second time: nothing is waited for then.
   */
  run(args: string[], signal: AbortSignal, again: AbortSignal): Promise<void>;
}

/** The command line, the environment or the configuration cannot be understood. */
export class UsageError extends Error {
  /** A second line that says what to do, where the first one says what is wrong. */
  readonly advice: string | undefined;

  constructor(message?: string, advice?: string) {
    super(message);
    this.advice = advice;
  }
}

type Options = NonNullable<ParseArgsConfig["options"]>;
type Parsed<O extends Options> = ReturnType<typeof parseArgs<{ options: O; allowPositionals: true }>>;

/** Parses a command line. Throws a `UsageError` for an option that the command does not have. */
export function parseCommandLine<O extends Options>(args: string[], options: O): Parsed<O> {
  try {
    return parseArgs({ args, options, allowPositionals: true });
  } catch (reason) {
    // Node's advice on arguments that begin with a dash follows the first sentence.
    throw new UsageError((reason as Error).message.split(". ", 1)[0]);
  }
}

/** The one argument that is no option; throws a `UsageError` if there is none, or more. */
export function onlyArgument(positionals: string[], what: string): string {
  const [argument, extra] = positionals;
  if (argument === undefined) throw new UsageError(`${what} is missing`);
  if (extra !== undefined) throw new UsageError(`one ${what}, not also ${JSON.stringify(extra)}`);
  return argument;
}

/** A number of milliseconds from text. Throws a `UsageError`, which calls it `what`. */
export function parseMs(text: string, what: string): number {
  if (/^\d+$/.test(text) && Number(text) <= maxTimerMs) return Number(text);
  throw new UsageError(`${what} takes milliseconds from 0 to ${maxTimerMs}, not ${JSON.stringify(text)}`);
}

const unitMs: Readonly<Record<string, number>> = { s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 };

/** A length of time in milliseconds from text such as `90s`, `10m`, `2h` or `7d`. Throws a `UsageError`. */
export function parseDurationMs(text: string, what: string): number {
  const [, count, unit = ""] = /^(\d{1,6})([smhd])$/.exec(text) ?? [];
  const ms = Number(count) * (unitMs[unit] ?? 0);
  if (ms > 0) return ms;
  throw new UsageError(`${what} takes a time such as 90s, 10m, 2h or 7d, not ${JSON.stringify(text)}`);
}

export const maxPort = 65_535;

/** A TCP port from text; 0 is any that is free. Throws a `UsageError`, which calls it `what`. */
export function parsePort(text: string, what: string): number {
  const port = Number(text);
  if (/^\d+$/.test(text) && port <= maxPort) return port;
  throw new UsageError(`${what} takes a number from 0 to ${maxPort}, not ${JSON.stringify(text)}`);
}
