import { print } from "../terminal/output.js";

/** Lines wait for a slow reader up to this size, which is some 15,000 lines. */
const maxUnreadBytes = 4_194_304;

export interface LogOutputInit {
  /** Called before the first line that is written again, with the number of lines that were not. */
  onDropped: (lines: number) => void;
  /** The bytes that were written and not read yet. Default: those on standard output. */
  unreadBytes?: () => number;
  /** Default: to standard output. A relay does not end because nobody reads its log any more. */
  print?: (line: string) => void;
}

/** The lines of a log on their way to standard output. Lines are dropped while too much of it is not read. */
export class LogOutput {
  readonly #init: Required<LogOutputInit>;
  #dropped = 0;

  constructor({
    onDropped,
    unreadBytes = () => process.stdout.writableLength,
    print: write = (line) => void print(line).catch(() => {}),
  }: LogOutputInit) {
    this.#init = { onDropped, unreadBytes, print: write };
  }

  write(line: string): void {
    if (this.#init.unreadBytes() > maxUnreadBytes) {
      this.#dropped += 1;
      return;
    }
    const dropped = this.#dropped;
    this.#dropped = 0;
    if (dropped > 0) this.#init.onDropped(dropped);
    this.#init.print(line);
  }
}
