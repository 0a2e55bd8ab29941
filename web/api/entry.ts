import { type Codec, type RawInput, type RawMessage, rawCodec } from "../../stream/codec.js";
import { checkOptions, invalidArgumentError } from "../../stream/error/options.js";
import type { StreamError } from "../../stream/error/stream-error.js";
import type { Clock } from "../../stream/platform/clock.js";
import { relayUrl } from "../transport/relay-url.js";
import { isTransport, type TransportLike, type Transports } from "../transport/transports.js";
import {
  clientOptions,
  connectOptions,
  defaultPrefix,
  openStream,
  type StreamClient,
  type StreamClientOptions,
} from "./stream-client.js";
import { type StreamCallback, StreamServer, type StreamServerOptions, serverOptions } from "./stream-server.js";
import { type ShowLine, unheardLine } from "./unheard-error.js";

export interface StreamServerFactory {
  /**
   * Makes a stream server at the relay behind a base URL or a Connect transport; `listen(name)` claims a name. The
   * callback gets a stream for each client; without it, iterate over the server. Throws `invalid_argument` for an
   * option that does not exist or cannot have its value; an option that is undefined has its default.
   */
  (transport: TransportLike, callback?: StreamCallback<RawMessage, RawInput>): StreamServer<RawMessage, RawInput>;
  <Out = RawMessage, In = RawInput>(
    transport: TransportLike,
    options: StreamServerOptions<Out, In>,
    callback?: StreamCallback<Out, In>,
  ): StreamServer<Out, In>;
}

export interface StreamClientFactory {
  /**
   * Makes a client of the relay behind a base URL or a Connect transport. It holds nothing open by itself. Throws
   * `invalid_argument` for an option that does not exist or cannot have its value; an option that is undefined has its
   * default.
   */
  (transport: TransportLike): StreamClient<RawMessage, RawInput>;
  <Out = RawMessage, In = RawInput>(
    transport: TransportLike,
    options: StreamClientOptions<Out, In>,
  ): StreamClient<Out, In>;
}

/** Whether servers name FEATURE_RESUME, so that a relay that can do it keeps their names when a connection breaks. */
const serversResume = true;

/** `StreamServer` and `StreamClient` for one platform's way to a relay, and to the person who runs the program. */
export function createEntry(
  transports: Transports,
  clock: Clock,
  showLine: ShowLine,
): { StreamServer: StreamServerFactory; StreamClient: StreamClientFactory } {
  const reach = (transport: TransportLike, prefix = defaultPrefix) => ({
    transport: () => transports.resolve(transport, prefix),
    clock,
    onUnheard: (what: string, error: StreamError) =>
      showLine(unheardLine(what, error, urlOf(transport, prefix)), error),
  });
  return {
    StreamServer<Out, In>(
      transport: TransportLike,
      optionsOrCallback: StreamServerOptions<Out, In> | StreamCallback<Out, In> = {},
      callbackAfterOptions?: StreamCallback<Out, In>,
    ): StreamServer<Out, In> {
      const [given, callback] =
        typeof optionsOrCallback === "function" ? [{}, optionsOrCallback] : [optionsOrCallback, callbackAfterOptions];
      if (callback !== undefined && typeof callback !== "function") {
        throw invalidArgumentError("StreamServer takes a function for a callback");
      }
      const {
        prefix,
        codec = defaultCodec<Out, In>(),
        listed = false,
        ...endpoint
      } = checkOptions("StreamServer", given as StreamServerOptions<Out, In>, serverOptions);
      return new StreamServer<Out, In>({
        ...endpoint,
        ...reach(transport, prefix),
        relayUrl: urlOf(transport, prefix ?? defaultPrefix),
        codec,
        listed,
        resumes: serversResume,
        callback,
      });
    },
    StreamClient<Out, In>(transport: TransportLike, options: StreamClientOptions<Out, In> = {}): StreamClient<Out, In> {
      const {
        prefix,
        codec = defaultCodec<Out, In>(),
        ...endpoint
      } = checkOptions("StreamClient", options, clientOptions);
      return {
        connect: (name, options = {}) =>
          openStream<Out, In>({
            ...endpoint,
            ...checkOptions("connect", options, connectOptions),
            ...reach(transport, prefix),
            codec,
            name,
          }),
      };
    },
  };
}

/** Undefined where it is not known, because the application has made the transport. */
function urlOf(transport: TransportLike, prefix: string): string | undefined {
  try {
    return isTransport(transport) ? undefined : relayUrl(transport, prefix).href;
  } catch {
    // The error that is shown says that this is no URL.
    return undefined;
  }
}

/** The raw codec: its types are the defaults of the type parameters, which are in use where no codec is given. */
function defaultCodec<Out, In>(): Codec<Out, In> {
  return rawCodec as unknown as Codec<Out, In>;
}
