import { readFileSync } from "node:fs";
import { Code, type Transport } from "@connectrpc/connect";
import { relayAt, relayLostError } from "../../stream/error/failure-detail.js";
import { systemClock } from "../../stream/platform/system-clock.js";
import { defaultPrefix } from "../../web/api/stream-client.js";
import { openNodeTransport } from "../../web/node/node-transport.js";
import { type AccessToken, Failure, StreamError } from "../../web/node.js";
import { type RelayUrl, relayUrl } from "../../web/transport/relay-url.js";
import { UsageError } from "./command.js";

/** The options that name the relay, for the commands that use one. */
export const relayOptions = {
  relay: { type: "string" },
  prefix: { type: "string" },
  token: { type: "string" },
  "token-file": { type: "string" },
} as const;

export const relayOptionsHelp = `\
  --relay URL     the relay (BSS_RELAY; default http://localhost:8080); a user and a password in it are sent as
                  Basic credentials
  --prefix PATH   where the relay is under its URL (BSS_PREFIX; default ${defaultPrefix})
  --token TOKEN   the access token, for a relay that wants one (BSS_TOKEN); other users of this machine may see it here
  --token-file FILE
                  the file of the token (BSS_TOKEN_FILE), which is read again whenever the relay is called
  --help          this text

NODE_EXTRA_CA_CERTS names a file of further authorities, for a relay whose certificate is none of the known ones'.
`;

interface RelayValues {
  relay?: string | undefined;
  prefix?: string | undefined;
}

interface TokenValues {
  token?: string | undefined;
  "token-file"?: string | undefined;
}

/** A program that is done has no use for its connection. */
const idleConnectionTimeoutMs = 20;

/**
 * A transport to the relay. Rejects with a `UsageError` for what cannot be a relay's URL, with FAILURE_LEG_LOST of
 * HOP_RELAY if no relay is reached there, or with the signal's reason.
 */
export async function openRelay(values: RelayValues, signal: AbortSignal): Promise<Transport> {
  const url = relayAddress(values);
  try {
    return await openNodeTransport(url, systemClock, { idleConnectionTimeoutMs, signal });
  } catch (cause) {
    signal.throwIfAborted();
    throw unreachedError(cause, url);
  }
}

/** The address of the relay's RPCs. Throws a `UsageError` for what cannot be a relay's URL. */
export function relayAddress(values: RelayValues): RelayUrl {
  return readRelayUrl(
    values.relay ?? (process.env.BSS_RELAY || "http://localhost:8080"),
    values.prefix ?? (process.env.BSS_PREFIX || defaultPrefix),
  );
}

/**
 * The access token for the relay, from the command line or else the environment; undefined if there is none. Throws a
 * `UsageError` for a file that cannot be read.
 */
export function accessTokenFrom(values: TokenValues, environment = process.env): AccessToken | undefined {
  const isGiven = values.token !== undefined || values["token-file"] !== undefined;
  const token = isGiven ? values.token : environment.BSS_TOKEN || undefined;
  const path = isGiven ? values["token-file"] : environment.BSS_TOKEN_FILE || undefined;
  if (token !== undefined && path !== undefined) {
    const [one, other] = isGiven ? ["--token", "--token-file"] : ["BSS_TOKEN", "BSS_TOKEN_FILE"];
    throw new UsageError(`either ${one} or ${other}, not both`);
  }
  if (path !== undefined) {
    readTokenFile(path);
    return () => readTokenFile(path);
  }
  if (token !== undefined) checkToken(token);
  return token;
}

/** A header with any other character is refused by Node, with an error that repeats it. */
function checkToken(token: string): void {
  if (!/^[\x21-\x7e]+$/.test(token)) throw new UsageError("an access token is printable ASCII without spaces");
}

function readTokenFile(path: string): string {
  let token: string;
  try {
    token = readFileSync(path, "utf8").trim();
  } catch (reason) {
    throw new UsageError(`the token file ${path} cannot be read: ${(reason as Error).message}`);
  }
  if (token === "") throw new UsageError(`the token file ${path} is empty`);
  checkToken(token);
  return token;
}

function readRelayUrl(base: string, prefix: string): RelayUrl {
  const path = `/${prefix}`.replace(/\/+/g, "/");
  if (new URL(`http://localhost${path}`).pathname !== path) {
    throw new UsageError(`a prefix is a path, and ${JSON.stringify(prefix)} is none`);
  }
  try {
    return relayUrl(base, prefix);
  } catch (reason) {
    throw new UsageError((reason as Error).message);
  }
}

/**
 * One failure for whatever keeps a relay from being reached, with advice where the address is likely to be the mistake.
 */
export function unreachedError(cause: unknown, { href }: RelayUrl): StreamError {
  const { failure, code, message } = StreamError.from(cause);
  const said = failure === Failure.LEG_LOST ? message : `${relayAt(href)} cannot be reached: ${message}`;
  return relayLostError(said + adviceFor(code, message), cause);
}

function adviceFor(code: Code, message: string): string {
  if (code === Code.Unauthenticated) return "; it wants a user and a password, as in http://user:password@host";
  if (message.endsWith("HTTP 404"))
    return ": the server there has no relay at this path; --prefix or BSS_PREFIX names another";
  // OpenSSL's word for an answer that is no TLS.
  return message.includes("wrong version number") ? "; it does not speak TLS: try http://" : "";
}
