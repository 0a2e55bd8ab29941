import { setTimeout } from "node:timers/promises";
import { toJson } from "@bufbuild/protobuf";
import { type CallOptions, ConnectError, createClient } from "@connectrpc/connect";
import { AdminService, ShowResponseSchema } from "../../gen/streamserver/v1/admin_pb.js";
import type { Report } from "../../web/operator/report.js";
import { transportError } from "../../web/transport/transport-facts.js";
import { type Command, parseCommandLine, UsageError } from "../command/command.js";
import { accessTokenFrom, openRelay, relayOptions, relayOptionsHelp } from "../command/relay-access.js";
import { notice } from "../terminal/notice.js";
import { print } from "../terminal/output.js";
import { shellWord } from "../terminal/shell-word.js";
import { topLines } from "./top-lines.js";

const help = `Usage: bss top [PREFIX] [options]

Shows what a relay holds, every second until Ctrl-C: its names, its streams, and which endpoint each stream waits for,
the longest wait first. With PREFIX, only names that begin with it. Where the output is no terminal, it is printed once.

The relay has to serve operators (\`bss serve --admin\`), and the access token has to be one's (\`bss token --admin\`).

  --watch         goes on where the output is no terminal, too
  --end-stream ID ends this stream for both endpoints, and shows nothing
  --end-lease ID  takes the name of this lease back from its listener, and shows nothing
  --reason TEXT   what the endpoints are told of it
${relayOptionsHelp}`;

/** The relay looks at its streams as often. */
const intervalMs = 1_000;

/** Another screen than the one that the shell writes to, and back. */
const [openScreen, closeScreen] = ["\u001b[?1049h\u001b[?25l", "\u001b[?25h\u001b[?1049l"];
/**
 * To the first column of the first row. Each line is cleared behind its text, and the rest of the screen at the end.
 */
const [home, clearLine, clearRest] = ["\u001b[H", "\u001b[K", "\u001b[J"];
const [usualColumns, usualRows] = [80, 24];

/** `bss top` */
export const topCommand: Command = {
  name: "top",
  summary: "shows what a relay holds, and who waits for whom",
  help,
  async run(args, signal) {
    const { values, positionals } = parseCommandLine(args, {
      ...relayOptions,
      watch: { type: "boolean" },
      "end-stream": { type: "string" },
      "end-lease": { type: "string" },
      reason: { type: "string" },
    });
    const [namePrefix = "", extra] = positionals;
    if (extra !== undefined) throw new UsageError(`one PREFIX, not also ${JSON.stringify(extra)}`);
    const { "end-stream": streamId, "end-lease": leaseId, reason = "" } = values;
    if (streamId !== undefined && leaseId !== undefined) throw new UsageError("either --end-stream or --end-lease");
    const token = accessTokenFrom(values);
    const transport = await openRelay(values, signal);
    const client = createClient(AdminService, transport);
    const options = async (): Promise<CallOptions> => {
      const given = typeof token === "function" ? await token() : token;
      return { signal, headers: given === undefined ? {} : { authorization: `Bearer ${given}` } };
    };
    try {
      if (streamId !== undefined) {
        await client.endStream({ streamId, reason }, await options());
        return notice(`the stream ${shellWord(streamId)} has ended`);
      }
      if (leaseId !== undefined) {
        await client.endLease({ leaseId, reason }, await options());
        return notice(`the lease ${shellWord(leaseId)} has ended`);
      }
      const lines = async (rows: number) => {
        const most = Math.min(rows, 1_000);
        const report = await client.show({ namePrefix, maxNames: most, maxStreams: most }, await options());
        return topLines(toJson(ShowResponseSchema, report) as Report);
      };
      if (process.stdout.isTTY) await drawEverySecond(lines, signal);
      else await printLines(lines, values.watch === true, signal);
    } catch (reason) {
      throw reason instanceof ConnectError ? transportError(reason, transport, true) : reason;
    }
  },
};

async function printLines(lines: Lines, goesOn: boolean, signal: AbortSignal): Promise<void> {
  for (;;) {
    await print(`${(await lines(Number.POSITIVE_INFINITY)).join("\n")}\n`);
    if (!goesOn) return;
    await print("\n");
    await setTimeout(intervalMs, undefined, { signal });
  }
}

type Lines = (rows: number) => Promise<string[]>;

async function drawEverySecond(lines: Lines, signal: AbortSignal): Promise<void> {
  const { stdout } = process;
  // The first report may be a refusal, which belongs on the screen of the shell.
  let shown = await lines(stdout.rows || usualRows);
  // A terminal that does not know its size says 0.
  const draw = () => {
    const [columns, rows] = [stdout.columns || usualColumns, stdout.rows || usualRows];
    const visible = shown.slice(0, rows).map((line) => line.slice(0, columns) + clearLine);
    stdout.write(home + visible.join("\r\n") + clearRest);
  };
  stdout.write(openScreen);
  stdout.on("resize", draw);
  try {
    for (;;) {
      draw();
      await setTimeout(intervalMs, undefined, { signal });
      shown = await lines(stdout.rows || usualRows);
    }
  } finally {
    stdout.off("resize", draw);
    stdout.write(closeScreen);
  }
}
