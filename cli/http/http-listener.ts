import type { Transport } from "@connectrpc/connect";
import { HttpServer } from "../../http/call/http-server.js";
import { defaultMaxCalls } from "../../http/link/stream-link.js";
import type { LinkStream } from "../../http/link/stream-pipe.js";
import { rawCodec } from "../../stream/codec.js";
import { systemClock } from "../../stream/platform/system-clock.js";
import {
  type AccessToken,
  type Codec,
  type RawInput,
  type RawMessage,
  type Stream,
  StreamServer,
} from "../../web/node.js";
import { webSocketMetadata } from "../../websocket/socket-metadata.js";
import { interruptedStreamError, whenAborted } from "../command/interruption.js";
import { notice, wordsFor } from "../terminal/notice.js";
import { shellWord } from "../terminal/shell-word.js";
import { noticeSuspensions } from "../terminal/suspension-notice.js";
import { HttpForwarder, type UnreachableError } from "./http-forwarder.js";
import type { HttpTarget } from "./http-target.js";
import { forwardSocket } from "./socket-forwarder.js";

/** The local server has this long to begin its answer; then the caller gets 504. */
const headTimeoutMs = 60_000;

export interface HttpListening {
  transport: Transport;
  name: string;
  token: AccessToken | undefined;
  listed: boolean;
  target: HttpTarget;
  signal: AbortSignal;
}

/** As the default codec, but binary messages share memory, because nobody keeps them. */
const codec: Codec<RawMessage, RawInput> = {
  encode: rawCodec.encode,
  decode: (message) => (message.text ? rawCodec.decode(message) : (message.data as Uint8Array<ArrayBuffer>)),
};

/**
 * Serves a local HTTP server on a name, and its WebSockets to clients that have the shape of one. Resolves when the
 * name is given back. Rejects with why it could not be served.
 */
export async function listenForHttp({ transport, name, token, listed, target, signal }: HttpListening): Promise<void> {
  const forwarder = new HttpForwarder(target, reachNotice(target));
  const streams = new Set<Stream>();
  const listen = (onLink: (stream: LinkStream) => void) => {
    const server = StreamServer(transport, { listed, token, codec }, (stream) => {
      streams.add(stream);
      stream.on("close", () => streams.delete(stream));
      if (stream.metadata.protocol === webSocketMetadata.protocol) return forwardSocket(stream, target);
      // A message of text is none of a link, whatever it is.
      return onLink(stream as unknown as LinkStream);
    }).listen(name);
    noticeSuspensions(server);
    return server;
  };
  const onError = (error: unknown) => {
    if (!signal.aborted) notice(`an answer broke: ${wordsFor(error)}`);
  };
  const server = new HttpServer({
    handler: (request) => forwarder.forward(request),
    accept: undefined,
    maxCallsPerStream: defaultMaxCalls,
    headTimeoutMs,
    onError,
    listen,
    clock: systemClock,
  });
  whenAborted(signal, () => {
    for (const stream of streams) stream.destroy(interruptedStreamError());
    void server.end();
  });
  try {
    await server.ready;
    notice(`${shellWord(name)} leads to http://${target.authority}`);
    notice(
      `every client that may connect to ${shellWord(name)} reaches all of that server, as programs on this machine do`,
    );
    await server.closed;
  } finally {
    forwarder.close();
  }
}

/** Says once that the local server is away, and that it is back. */
function reachNotice({ authority }: HttpTarget): (error: UnreachableError | undefined) => void {
  let isAway = false;
  return (error) => {
    if (error !== undefined && !isAway) notice(`http://${authority} cannot be reached (${error.message})`);
    if (error === undefined && isAway) notice(`http://${authority} is back`);
    isAway = error !== undefined;
  };
}
