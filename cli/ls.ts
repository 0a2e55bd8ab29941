import { type CallOptions, type Client, ConnectError, createClient } from "@connectrpc/connect";
import { RelayService } from "../gen/streamserver/v1/relay_pb.js";
import { transportError } from "../web/transport/transport-facts.js";
import { type Command, parseCommandLine, UsageError } from "./command/command.js";
import { accessTokenFrom, openRelay, relayOptions, relayOptionsHelp } from "./command/relay-access.js";
import { print } from "./terminal/output.js";
import { shellWord } from "./terminal/shell-word.js";

const help = `Usage: bss ls [PREFIX] [options]

Prints the names that are listened on and listed, one on each line; with PREFIX, only those that begin with it. A name
with characters that a shell takes for its own, or that a terminal does not show, is printed in quotes: bash, zsh and
ksh read it back, as in \`bss connect $'a\\tb'\`.

  --watch         goes on: "+ NAME" for a name that comes, "- NAME" for one that goes, until Ctrl-C
${relayOptionsHelp}`;

/** `bss ls` */
export const lsCommand: Command = {
  name: "ls",
  summary: "prints the names that are listed",
  help,
  async run(args, signal) {
    const { values, positionals } = parseCommandLine(args, { ...relayOptions, watch: { type: "boolean" } });
    const [prefix = "", extra] = positionals;
    if (extra !== undefined) throw new UsageError(`one PREFIX, not also ${JSON.stringify(extra)}`);
    const token = accessTokenFrom(values);
    const transport = await openRelay(values, signal);
    const given = typeof token === "function" ? await token() : token;
    const headers: HeadersInit = given === undefined ? {} : { authorization: `Bearer ${given}` };
    const client = createClient(RelayService, transport);
    try {
      if (values.watch) await watch(client, prefix, { headers, signal });
      else await list(client, prefix, { headers, signal });
    } catch (reason) {
      throw reason instanceof ConnectError ? transportError(reason, transport, true) : reason;
    }
  },
};

async function list(client: Client<typeof RelayService>, prefix: string, options: CallOptions): Promise<void> {
  let pageToken = "";
  do {
    const page = await client.list({ prefix, pageToken }, options);
    for (const name of page.names) await print(`${shellWord(name)}\n`);
    pageToken = page.nextPageToken;
  } while (pageToken !== "");
}

async function watch(client: Client<typeof RelayService>, prefix: string, options: CallOptions): Promise<void> {
  for await (const { event } of client.watch({ prefix }, { ...options, timeoutMs: 0 })) {
    if (event.case === "created") await print(`+ ${shellWord(event.value.name)}\n`);
    if (event.case === "destroyed") await print(`- ${shellWord(event.value.name)}\n`);
  }
}
