import { readFileSync } from "node:fs";
import { setFlagsFromString } from "node:v8";
import { type Command, UsageError } from "./command/command.js";
import { checkGivenArguments } from "./command/given-arguments.js";
import { Interrupted } from "./command/interruption.js";
import { exitCodeOf, exitCodesHelp } from "./exit-code.js";
import { linkCommand } from "./link.js";
import { lsCommand } from "./ls.js";
import { mcpCommand } from "./mcp/mcp.js";
import { serveCommand } from "./serve/serve.js";
import { connectCommand } from "./stream/connect.js";
import { listenCommand } from "./stream/listen.js";
import { notice, programName, wordsFor } from "./terminal/notice.js";
import { print } from "./terminal/output.js";
import { tokenCommand } from "./token.js";
import { topCommand } from "./top/top.js";

// A young generation that stays small: large messages are nearly all garbage at once, and were half of a transfer's
// time to collect.
setFlagsFromString("--semi-space-growth-factor=1");

const commands: readonly Command[] = [
  serveCommand,
  listenCommand,
  connectCommand,
  mcpCommand,
  lsCommand,
  tokenCommand,
  linkCommand,
  topCommand,
];

const help = `Usage: ${programName} COMMAND [arguments]

Streams between programs that cannot reach each other, through a relay, by name.

${commands.map(({ name, summary }) => `  ${name.padEnd(9)}${summary}`).join("\n")}

${programName} COMMAND --help tells more.  ${programName} --version prints the version.

${exitCodesHelp}`;

/** Connections that do not end by themselves when all is done get this long. */
const lingerMs = 3_000;
/** Ctrl-C reaches this process twice when npm has started it: npm passes on what the terminal has sent to both. */
const sameSignalMs = 200;

async function run([name, ...args]: string[], signal: AbortSignal, again: AbortSignal): Promise<void> {
  const isHelp = (word: string | undefined) => word === "--help" || word === "-h";
  const command = commands.find((each) => each.name === (name === "help" ? args[0] : name));
  if (isHelp(name) || (name === "help" && args.length === 0)) return print(help);
  if (name === "--version") return print(`${version()}\n`);
  if (command === undefined) {
    const names = commands.map((each) => each.name).join(", ");
    const unknown = name === "help" ? args[0] : name;
    throw new UsageError(
      unknown === undefined ? `a command is missing: ${names}` : `no command ${JSON.stringify(unknown)}: ${names}`,
    );
  }
  const flags = args.includes("--") ? args.slice(0, args.indexOf("--")) : args;
  if (name === "help" || flags.some(isHelp)) return print(command.help);
  await command.run(args, signal, again);
}

function version(): string {
  const manifest = readFileSync(new URL("../../package.json", import.meta.url), "utf8");
  return (JSON.parse(manifest) as { version: string }).version;
}

const interruption = new AbortController();
const repetition = new AbortController();
let interruptedAtMs = Number.POSITIVE_INFINITY;
for (const signalName of ["SIGINT", "SIGTERM"] as const) {
  // The listener stays, because without one the second signal ends the process before its streams have heard of it.
  process.on(signalName, () => {
    if (!interruption.signal.aborted) interruptedAtMs = performance.now();
    else if (performance.now() > interruptedAtMs + sameSignalMs) repetition.abort();
    interruption.abort(new Interrupted(signalName));
  });
}

// A write that fails rejects for its caller. Without a listener for "error" it ends the process as well.
for (const output of [process.stdout, process.stderr]) output.on("error", () => {});

try {
  const args = process.argv.slice(2);
  checkGivenArguments(args);
  await run(args, interruption.signal, repetition.signal);
} catch (caught) {
  // An interruption breaks streams and connections, whose errors say less than the interruption itself.
  const reason: unknown = interruption.signal.aborted ? interruption.signal.reason : caught;
  process.exitCode = exitCodeOf(reason);
  notice(wordsFor(reason));
  if (reason instanceof UsageError && reason.advice !== undefined) notice(reason.advice);
}
setTimeout(() => process.exit(), lingerMs).unref();
