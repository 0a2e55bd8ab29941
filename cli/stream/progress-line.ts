import type { Meter } from "./meter.js";

const intervalMs = 250;
/** A transfer that is over sooner needs no line. */
const silentForMs = 1_000;
const usualColumns = 80;
/** To the first column, and nothing to the right of it. ECMA-48, "EL". */
const clearLine = "\r\u001b[K";

/** Shows on a terminal how a long transfer goes; elsewhere nothing. Returns what ends it, with a last line. */
export function showProgress(meter: Meter, terminal: NodeJS.WriteStream): () => void {
  if (!terminal.isTTY) return () => {};
  let summarize = () => {};
  const draw = () => {
    // A line that wraps could not be cleared. A terminal that does not know its width says 0.
    const columns = terminal.columns || usualColumns;
    terminal.write(clearLine + meter.progress().slice(0, columns - 1));
    summarize = () => terminal.write(`${clearLine}${meter.summary()}\n`);
  };
  let timer = setTimeout(() => {
    draw();
    timer = setInterval(draw, intervalMs);
  }, silentForMs);
  return () => {
    clearInterval(timer);
    summarize();
  };
}
