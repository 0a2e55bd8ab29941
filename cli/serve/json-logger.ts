import { type Logger, pino } from "pino";
import { jsonWithoutHidden } from "../../web/operator/visible-text.js";

/** Makes a logger that writes one line of JSON for each event, with its level and the time as ISO 8601. */
export function createJsonLogger(write: (line: string) => void): Logger {
  const options = {
    base: null,
    timestamp: pino.stdTimeFunctions.isoTime,
    formatters: { level: (level: string) => ({ level }) },
  };
  return pino(options, { write: (line) => write(`${jsonWithoutHidden(line.trimEnd())}\n`) });
}
