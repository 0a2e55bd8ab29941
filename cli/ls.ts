import { type Client, ConnectError, createClient } from "@connectrpc/connect";
import { RelayService } from "../gen/streamserver/v1/relay_pb.js";
import { transportError } from "../web/transport/transport-facts.js";
import { type Command, parseCommandLine, UsageError } from "./command.js";
import { print } from "./output.js";
import { openRelay, relayOptions, relayOptionsHelp } from "./relay-access.js";
import { shellWord } from "./visible-text.js";

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
    const transport = await openRelay(values, signal);
    const client = createClient(RelayService, transport);
    try {
      if (values.watch) await watch(client, prefix, signal);
      else await list(client, prefix, signal);
    } catch (reason) {
      throw reason instanceof ConnectError ? transportError(reason, transport, true) : reason;
    }
  },
};

async function list(client: Client<typeof RelayService>, prefix: string, signal: AbortSignal): Promise<void> {
  let pageToken = "";
  do {
    const page = await client.list({ prefix, pageToken }, { signal });
    for (const name of page.names) await print(`${shellWord(name)}\n`);
    pageToken = page.nextPageToken;
  } while (pageToken !== "");
}

async function watch(client: Client<typeof RelayService>, prefix: string, signal: AbortSignal): Promise<void> {
  for await (const { event } of client.watch({ prefix }, { signal, timeoutMs: 0 })) {
    if (event.case === "created") await print(`+ ${shellWord(event.value.name)}\n`);
    if (event.case === "destroyed") await print(`- ${shellWord(event.value.name)}\n`);
  }
}
