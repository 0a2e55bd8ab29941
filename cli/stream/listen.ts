import type { Transport } from "@connectrpc/connect";
import { Deferred } from "../../stream/platform/deferred.js";
import { type AccessToken, Code, type Stream, StreamServer } from "../../web/node.js";
import { type Command, onlyArgument, parseCommandLine, UsageError } from "../command/command.js";
import { interruptedStreamError, whenAborted } from "../command/interruption.js";
import { accessTokenFrom, openRelay, relayOptions, relayOptionsHelp } from "../command/relay-access.js";
import { listenForHttp } from "../http/http-listener.js";
import { parseHttpTarget } from "../http/http-target.js";
import { notice, wordsFor } from "../terminal/notice.js";
import { shellWord } from "../terminal/shell-word.js";
import { noticeSuspensions } from "../terminal/suspension-notice.js";
import { transferStandardIo } from "./standard-io.js";
import { parseTcpTarget, serveFromTcp } from "./tcp-target.js";

const help = `Usage: bss listen NAME [--to HOST:PORT | --http HOST:PORT] [options]

Claims NAME and waits for one client, then gives the name back. Standard input goes to the client, and what comes from
there to standard output; the end of the input half-closes the stream, which then goes on until the client has finished
too.

  --to HOST:PORT  instead: connects each client to this TCP server, until Ctrl-C or until the relay is lost
  --http HOST:PORT
                  instead: passes requests of HTTP on to this server, and WebSockets, until Ctrl-C or until the relay is
                  lost. Every client that may connect to NAME reaches all of it
  --listed        lets \`bss ls\` show the name
${relayOptionsHelp}
Examples:
  bss listen NAME | tar x                at the other end: tar c folder | bss connect NAME
  bss listen NAME --to localhost:5432    at the other end: bss connect NAME --port 5432
  bss listen NAME --http localhost:3000  at the other end: createFetch(relay, NAME)
`;

/** `bss listen` */
export const listenCommand: Command = {
  name: "listen",
  summary: "claims a name: standard input and output for one client, or a TCP or HTTP server for all",
  help,
  async run(args, signal) {
    const { values, positionals } = parseCommandLine(args, {
      ...relayOptions,
      to: { type: "string" },
      http: { type: "string" },
      listed: { type: "boolean" },
    });
    const name = onlyArgument(positionals, "NAME");
    if (values.to !== undefined && values.http !== undefined) throw new UsageError("either --to or --http, not both");
    const target = values.to === undefined ? undefined : parseTcpTarget(values.to);
    const httpTarget = values.http === undefined ? undefined : parseHttpTarget(values.http);
    const token = accessTokenFrom(values);
    const transport = await openRelay(values, signal);
    const listed = values.listed ?? false;
    if (httpTarget !== undefined) {
      await listenForHttp({ transport, name, token, listed, target: httpTarget, signal });
      return signal.throwIfAborted();
    }
    const open = (onStream: (stream: Stream) => unknown) => claim({ transport, name, token, listed, onStream, signal });
    if (target === undefined) return transferStandardIo(await firstClient(open, signal));
    const serving = new Map<Stream, Promise<void>>();
    const server = await open(async (stream) => {
      // A failed connection concerns one client, which has been told. If the callback rejected, Node would take it for
      // an unhandled rejection and end the program.
      const served = serveFromTcp(stream, target).catch((error: unknown) => {
        if (!signal.aborted) notice(`a connection broke: ${wordsFor(error)}`);
      });
      serving.set(stream, served);
      await served;
      serving.delete(stream);
    });
    whenAborted(signal, () => {
      for (const stream of serving.keys()) stream.destroy(interruptedStreamError());
    });
    notice(`${shellWord(name)} leads to ${target.host}:${target.port}`);
    await server.closed;
    await Promise.all(serving.values());
    signal.throwIfAborted();
  },
};

interface Claim {
  transport: Transport;
  name: string;
  token: AccessToken | undefined;
  listed: boolean;
  onStream: (stream: Stream) => unknown;
  signal: AbortSignal;
}

/** A stream server that has its name, until `signal` is aborted. */
async function claim({ transport, name, token, listed, onStream, signal }: Claim): Promise<StreamServer> {
  // The client's exit code may not say that all went well while it does not here.
  const server = StreamServer(transport, { listed, token, acknowledgeEnd: "read" }, onStream).listen(name);
  noticeSuspensions(server);
  whenAborted(signal, () => void server.end());
  await server.ready;
  return server;
}

/** Waits for a client, accepts it and gives the name back. Rejects if the relay is lost before. */
async function firstClient(open: (onStream: (stream: Stream) => void) => Promise<StreamServer>, signal: AbortSignal) {
  const accepted = new Deferred<Stream>();
  let candidate: Stream | undefined;
  const server = await open((stream) => {
    if (candidate !== undefined) return stream.reject(Code.Unavailable, "another client was first");
    candidate = stream;
    stream.opened.then(
      () => accepted.resolve(stream),
      // The client went away before it was accepted, so the next one may come.
      () => {
        candidate = undefined;
      },
    );
  });
  notice("listening");
  server.closed.then(() => accepted.reject(signal.reason), accepted.reject);
  const stream = await accepted.promise;
  void server.end();
  whenAborted(signal, () => stream.destroy(interruptedStreamError()));
  return stream;
}
