import { Connections } from "../../http/call/connections.js";
import { httpMetadata, linkStreamOptions } from "../../http/link/stream-link.js";
import { maxTimerMs } from "../../server/admission/limits.js";
import { systemClock } from "../../stream/platform/system-clock.js";
import { StreamClient, type StreamError } from "../../web/node.js";
import { type Command, onlyArgument, parseCommandLine, parseMs, parsePort, UsageError } from "../command/command.js";
import { interruptedStreamError, whenAborted } from "../command/interruption.js";
import { accessTokenFrom, openRelay, relayOptions, relayOptionsHelp } from "../command/relay-access.js";
import { notice, wordsFor } from "../terminal/notice.js";
import { shellWord } from "../terminal/shell-word.js";
import { openGrpcPort } from "./grpc-port.js";
import { transferStandardIo } from "./standard-io.js";
import { openTcpPort } from "./tcp-port.js";

const help = `Usage: bss connect NAME [--port PORT | --grpc-port PORT] [--host ADDRESS] [options]

Connects to whoever listens on NAME. Standard input goes there, and what comes from there to standard output; the end of
the input half-closes the stream, which then goes on until the other side has finished too.

  --port PORT     instead: opens a TCP port on this machine, 0 for any that is free; each connection to it becomes a
                  stream of its own to NAME, until Ctrl-C, also when the relay was away meanwhile
  --grpc-port PORT
                  instead: opens a port on this machine for clients of gRPC, gRPC-Web and Connect, whose calls go to the
                  service that NAME serves, over HTTP/2 without TLS or HTTP/1.1
  --host ADDRESS  the interface of that port (default 127.0.0.1)
  --wait          waits until somebody listens on NAME, where nobody does
  --wait-ms N     waits for that at most so long
${relayOptionsHelp}
Examples:
  tar c folder | bss connect NAME        at the other end: bss listen NAME | tar x
  bss connect NAME --port 5432           then: psql -h localhost
  bss connect NAME --grpc-port 5000      then: grpcurl -plaintext localhost:5000 list
`;

/** `bss connect` */
export const connectCommand: Command = {
  name: "connect",
  summary: "connects to a name: standard input and output, a TCP port, or one for gRPC",
  help,
  async run(args, signal) {
    const { values, positionals } = parseCommandLine(args, {
      ...relayOptions,
      port: { type: "string" },
      "grpc-port": { type: "string" },
      host: { type: "string" },
      wait: { type: "boolean" },
      "wait-ms": { type: "string" },
    });
    const name = onlyArgument(positionals, "NAME");
    const given = (["port", "grpc-port"] as const).filter((option) => values[option] !== undefined);
    const [kind] = given;
    if (given.length > 1) throw new UsageError("either --port or --grpc-port, not both");
    if (values.host !== undefined && kind === undefined) throw new UsageError("--host goes with --port or --grpc-port");
    const port = kind === undefined ? 0 : parsePort(values[kind] ?? "", `--${kind}`);
    const waitMs = waitMsOf(values.wait, values["wait-ms"]);
    const token = accessTokenFrom(values);
    const host = values.host || "127.0.0.1";
    const transport = await openRelay(values, signal);
    const streams = new AbortController();
    whenAborted(signal, () => streams.abort(interruptedStreamError()));
    const connecting = { signal: streams.signal, waitForListenerMs: waitMs };
    const untilInterrupted = new Promise<void>((resolve) => whenAborted(signal, resolve));
    if (kind === "grpc-port") {
      const client = StreamClient(transport, { token, ...linkStreamOptions });
      const connect = () => client.connect(name, { ...connecting, metadata: httpMetadata });
      const connections = new Connections(name, connect, systemClock);
      const grpcPort = await openGrpcPort({ port, host, name, connections });
      notice(`calls of gRPC to ${host}:${grpcPort.port} go to ${shellWord(name)}`);
      await untilInterrupted;
      await grpcPort.close();
    } else {
      // The peer's exit code may not say that all went well while it does not here.
      const client = StreamClient(transport, { token, acknowledgeEnd: "read" });
      const connect = () => client.connect(name, connecting);
      if (kind === undefined) return transferStandardIo(connect());
      const onBroken = (error: StreamError) => {
        if (!signal.aborted) notice(`a connection broke: ${wordsFor(error)}`);
      };
      const tcpPort = await openTcpPort({ port, host, connect, onBroken });
      notice(`TCP connections to ${host}:${tcpPort.port} go to ${shellWord(name)}`);
      await untilInterrupted;
      tcpPort.close();
    }
    signal.throwIfAborted();
  },
};

/** How long a stream waits for a listener, in milliseconds; undefined if not at all. */
function waitMsOf(wait: boolean | undefined, waitMs: string | undefined): number | undefined {
  const ms = waitMs === undefined ? maxTimerMs : parseMs(waitMs, "--wait-ms");
  return (wait || waitMs !== undefined) && ms > 0 ? ms : undefined;
}
