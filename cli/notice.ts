import { programName } from "./command.js";

/** Says one line to the person, on standard error, where it does not mix with what is piped. */
export function notice(text: string): void {
  process.stderr.write(`${programName}: ${printable(text)}\n`);
}

/** Text from elsewhere, on one line and without what a terminal would take for a command. */
export function printable(text: string): string {
  return text.replace(/\p{Cc}+/gu, " ").trim();
}
