import { Code, type Transport } from "@connectrpc/connect";
import { fromConnectError } from "../link/failure-detail.js";
import { systemClock } from "../stream/system-clock.js";
import { defaultPrefix } from "../web/api/stream-client.js";
import { openNodeTransport } from "../web/node/node-transport.js";
import { Hop, StreamError } from "../web/node.js";
import { relayUrl } from "../web/transport/relay-url.js";
import { UsageError } from "./command.js";

/** Which relay, for the commands that use one. */
export const relayOptions = {
  relay: { type: "string" },
  prefix: { type: "string" },
} as const;

export const relayOptionsHelp = `  --relay URL     the relay (BSS_RELAY; default http://localhost:8080)
  --prefix PATH   where the relay is under its URL (BSS_PREFIX; default ${defaultPrefix})
  --help          this text

NODE_EXTRA_CA_CERTS names a file of further authorities, for a relay whose certificate is none of the known ones'.
`;

interface RelayValues {
  relay?: string | undefined;
  prefix?: string | undefined;
}

/** A program that is done has no use for its connection. */
const idleConnectionTimeoutMs = 20;

/** A transport to the relay. Rejects with `unavailable` and HOP_RELAY if it cannot be reached, or with the signal's reason. */
export async function openRelay(values: RelayValues, signal: AbortSignal): Promise<Transport> {
  const relay = values.relay ?? (process.env.BSS_RELAY || "http://localhost:8080");
  const prefix = values.prefix ?? (process.env.BSS_PREFIX || defaultPrefix);
  if (!/^https?:\/\//i.test(relay) || !URL.canParse(relay)) {
    throw new UsageError(`${JSON.stringify(relay)} is no URL of a relay, such as http://localhost:8080`);
  }
  const url = new URL(relay);
  const path = [url.pathname, prefix].flatMap((part) => part.split("/")).filter((part) => part !== "");
  const address = [url.origin, ...path].join("/");
  try {
    return await openNodeTransport(relayUrl(address), systemClock, { idleConnectionTimeoutMs, signal });
  } catch (cause) {
    signal.throwIfAborted();
    const { message: said } = fromConnectError(cause);
    // OpenSSL's word for an answer that is no TLS.
    const message = said.includes("wrong version number") ? "it does not speak TLS: try http://" : said;
    throw new StreamError(`cannot reach a relay at ${address}: ${message}`, {
      code: Code.Unavailable,
      hop: Hop.RELAY,
      cause,
    });
  }
}
