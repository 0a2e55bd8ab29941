import { checkOptions, type OptionType, primitive, wholeNumber } from "../stream/error/options.js";
import type { Clock } from "../stream/platform/clock.js";
import type { StreamClientFactory } from "../web/api/entry.js";
import { clientOptions } from "../web/api/stream-client.js";
import type { TransportLike } from "../web/transport/transports.js";
import { connectionsTo } from "./call/connections.js";
import { type StreamTransport, type StreamTransportOptions, streamTransport } from "./service/stream-transport.js";

/** See {@link ConnectEntry.createStreamTransport}. */
export interface ConnectEntry {
  /**
   * Makes a transport of Connect for the services behind a name, at the relay behind a base URL or a Connect transport.
   * It carries all four kinds of call, in every browser in both directions at once. It opens a stream to the listener
   * with its first call, and keeps it for the next ones.
   *
   * - Calls reject with a `ConnectError`, of which `streamErrorOf` says whether the way to the service has failed.
   * - Throws `invalid_argument` for an option that does not exist or cannot have its value.
   *
   * @example
   * const client = createClient(CalculatorService, createStreamTransport(relayUrl, "calculator"));
   * const { sum } = await client.add({ a: 1, b: 2 });
   */
  createStreamTransport(transport: TransportLike, name: string, options?: StreamTransportOptions): StreamTransport;
}

const transportOptions: Record<keyof StreamTransportOptions, OptionType> = {
  prefix: clientOptions.prefix,
  token: clientOptions.token,
  waitForListenerMs: wholeNumber,
  interceptors: ["a list of interceptors", Array.isArray],
  useBinaryFormat: primitive("boolean"),
  jsonOptions: ["an object", (value) => typeof value === "object" && value !== null],
  readMaxBytes: wholeNumber,
};

/** `createStreamTransport` over one platform's streams. */
export function createConnectEntry(
  { StreamClient }: { StreamClient: StreamClientFactory },
  clock: Clock,
): ConnectEntry {
  return {
    createStreamTransport(transport, name, options = {}) {
      const { interceptors, useBinaryFormat, jsonOptions, readMaxBytes, ...connecting } = checkOptions(
        "createStreamTransport",
        options,
        transportOptions,
      );
      const connections = connectionsTo(StreamClient, transport, name, connecting, clock);
      return streamTransport(connections, { interceptors, useBinaryFormat, jsonOptions, readMaxBytes });
    },
  };
}
