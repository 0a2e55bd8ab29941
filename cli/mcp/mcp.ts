import { httpMetadata, linkStreamOptions } from "../../http/link/stream-link.js";
import { mcpProtocol } from "../../mcp/mcp-transport.js";
import { Code, Failure, StreamClient, StreamError } from "../../web/node.js";
import { type Command, onlyArgument, parseCommandLine, parseMs, UsageError } from "../command/command.js";
import { interruptedStreamError, whenAborted } from "../command/interruption.js";
import { accessTokenFrom, openRelay, relayOptions, relayOptionsHelp } from "../command/relay-access.js";
import { standardInput } from "../stream/standard-input.js";
import { print } from "../terminal/output.js";
import { openHttpTab } from "./http-tab.js";
import { inputLines } from "./input-lines.js";
import { McpSession } from "./mcp-session.js";
import type { McpTab, McpTabInit } from "./mcp-tab.js";
import { openStreamTab } from "./stream-tab.js";

/** A line that is larger than a message may be is answered with an error, if it is not larger than this. */
const maxLineBytes = 67_108_864;
const defaultWaitMs = 30_000;
const defaultPath = "/mcp";

const help = `Usage: bss mcp NAME [options]

Makes the tab that listens on NAME a server of MCP, for a client that starts programs: messages of JSON-RPC on standard
input go to the tab, and those of the tab to standard output, one on each line. Words for people are on standard error.
The tab may speak MCP over the stream (McpTransport) or over HTTP on it (serve).

A tab that is reloaded comes back to the same session: requests that it had not answered are answered with an error, and
the client is told that the tools may have changed.

  --wait-ms N     how long to wait for the tab, in milliseconds (default ${defaultWaitMs}): at first, and then for each
                  request while the tab is away
  --path PATH     where a tab that speaks HTTP serves MCP (default ${defaultPath})
${relayOptionsHelp}
Example, in the configuration of a client:
  { "mcpServers": { "tab": { "command": "npx", "args": ["browser-stream-server", "mcp", "NAME"] } } }
`;

/** `bss mcp` */
export const mcpCommand: Command = {
  name: "mcp",
  summary: "a tab's tools for an agent: MCP on standard input and output",
  help,
  async run(args, signal) {
    const { values, positionals } = parseCommandLine(args, {
      ...relayOptions,
      "wait-ms": { type: "string" },
      path: { type: "string" },
    });
    const name = onlyArgument(positionals, "NAME");
    const path = values.path ?? defaultPath;
    if (!path.startsWith("/")) throw new UsageError(`--path begins with a slash, unlike ${JSON.stringify(path)}`);
    const waitMs = values["wait-ms"] === undefined ? defaultWaitMs : parseMs(values["wait-ms"], "--wait-ms");
    const token = accessTokenFrom(values);
    const transport = await openRelay(values, signal);
    const ending = new AbortController();
    const connecting = { signal: ending.signal, waitForListenerMs: waitMs > 0 ? waitMs : undefined };
    const openStream = (init: McpTabInit) => {
      const metadata = { protocol: mcpProtocol };
      return openStreamTab(StreamClient(transport, { token }).connect(name, { ...connecting, metadata }), init);
    };
    const openHttp = (init: McpTabInit) => {
      const client = StreamClient(transport, { token, ...linkStreamOptions });
      return openHttpTab(client.connect(name, { ...connecting, metadata: httpMetadata }), { ...init, name, path });
    };
    const openTab = (init: McpTabInit): Promise<McpTab> =>
      openStream(init).catch((reason: unknown) => {
        if (isOtherProtocol(reason)) return openHttp(init);
        throw reason;
      });
    whenAborted(signal, () => ending.abort(interruptedStreamError()));
    const tell = (text: string) => print(`${text}\n`);
    const input = standardInput();
    try {
      await new McpSession({ name, openTab, tell, waitMs, signal: ending.signal }).run(inputLines(input, maxLineBytes));
    } finally {
      ending.abort();
      input.destroy();
    }
  },
};

/** Whether the listener has declined a client that speaks MCP over the stream, as a server of HTTP does. */
function isOtherProtocol(reason: unknown): boolean {
  if (!(reason instanceof StreamError)) return false;
  return reason.failure === Failure.DECLINED && reason.code === Code.FailedPrecondition;
}
