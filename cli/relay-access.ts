import { Code, type Transport } from "@connectrpc/connect";
import { fromConnectError } from "../link/failure-detail.js";
import { Hop, StreamError } from "../web/node.js";
import { openNodeTransport } from "../web/node-transport.js";
import { defaultPrefix } from "../web/stream-client.js";
import { systemClock } from "../web/system-clock.js";
import { UsageError } from "./command.js";

/** Which relay, for the commands that use one. */
export const relayOptions = {
  relay: { type: "string" },
  prefix: { type: "string" },
} as const;

export const relayOptionsHelp = `  --relay URL     the relay (BSS_RELAY; default http://localhost:8080)
  --prefix PATH   where the relay is under its URL (BSS_PREFIX; default ${defaultPrefix})
  --help          this text
`;

/** A program that is done has no use for its connection. */
const idleConnectionTimeoutMs = 20;

/** A transport to the relay. Rejects with `unavailable` and HOP_RELAY if the relay cannot be reached. */
export async function openRelay({
  relay = process.env.BSS_RELAY ?? "http://localhost:8080",
  prefix = process.env.BSS_PREFIX ?? defaultPrefix,
}: {
  relay?: string | undefined;
  prefix?: string | undefined;
}): Promise<Transport> {
  if (!/^https?:/.test(relay) || !URL.canParse(relay)) {
    throw new UsageError(`the relay's URL begins with http:// or https://, not as ${JSON.stringify(relay)} does`);
  }
  const url = new URL(relay);
  const path = [url.pathname, prefix].flatMap((part) => part.split("/")).filter((part) => part !== "");
  try {
    return await openNodeTransport([url.origin, ...path].join("/"), systemClock, { idleConnectionTimeoutMs });
  } catch (cause) {
    const { message } = fromConnectError(cause);
    throw new StreamError(`cannot reach the relay at ${url.origin}: ${message}`, {
      code: Code.Unavailable,
      hop: Hop.RELAY,
      cause,
    });
  }
}
