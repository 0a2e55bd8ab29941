import type { Clock } from "../../stream/clock.js";
import { type Codec, type RawInput, type RawMessage, rawCodec } from "../../stream/codec.js";
import type { TransportLike, Transports } from "../transport/transports.js";
import { defaultPrefix, openStream, type StreamClient, type StreamClientOptions } from "./stream-client.js";
import { type StreamCallback, StreamServer, type StreamServerOptions } from "./stream-server.js";

export interface StreamServerFactory {
  /**
   * A stream server at the relay behind a base URL or a Connect transport; `listen(name)` claims a name. The callback gets a
   * stream for each client; without it, iterate over the server.
   */
  (transport: TransportLike, callback?: StreamCallback<RawMessage, RawInput>): StreamServer<RawMessage, RawInput>;
  <Out = RawMessage, In = RawInput>(
    transport: TransportLike,
    options: StreamServerOptions<Out, In>,
    callback?: StreamCallback<Out, In>,
  ): StreamServer<Out, In>;
}

export interface StreamClientFactory {
  /** A client of the relay behind a base URL or a Connect transport. It holds nothing open by itself. */
  (transport: TransportLike): StreamClient<RawMessage, RawInput>;
  <Out = RawMessage, In = RawInput>(
    transport: TransportLike,
    options: StreamClientOptions<Out, In>,
  ): StreamClient<Out, In>;
}

/** `StreamServer` and `StreamClient` for one platform's way to a relay. */
export function createEntry(
  transports: Transports,
  clock: Clock,
): { StreamServer: StreamServerFactory; StreamClient: StreamClientFactory } {
  return {
    StreamServer<Out, In>(
      transport: TransportLike,
      optionsOrCallback: StreamServerOptions<Out, In> | StreamCallback<Out, In> = {},
      callbackAfterOptions?: StreamCallback<Out, In>,
    ): StreamServer<Out, In> {
      const [options, callback] =
        typeof optionsOrCallback === "function" ? [{}, optionsOrCallback] : [optionsOrCallback, callbackAfterOptions];
      const { prefix = defaultPrefix, codec = defaultCodec<Out, In>(), listed = false, ...endpoint } = options;
      return new StreamServer<Out, In>({
        ...endpoint,
        transport: () => transports.resolve(transport, prefix),
        codec,
        listed,
        callback,
        clock,
      });
    },
    StreamClient<Out, In>(transport: TransportLike, options: StreamClientOptions<Out, In> = {}): StreamClient<Out, In> {
      const { prefix = defaultPrefix, codec = defaultCodec<Out, In>(), ...endpoint } = options;
      return {
        connect: (name, connectOptions) =>
          openStream<Out, In>({
            ...endpoint,
            ...connectOptions,
            transport: () => transports.resolve(transport, prefix),
            codec,
            name,
            clock,
          }),
      };
    },
  };
}

/** Where no codec is given, the type parameters have their defaults, which are the raw codec's. */
function defaultCodec<Out, In>(): Codec<Out, In> {
  return rawCodec as unknown as Codec<Out, In>;
}
