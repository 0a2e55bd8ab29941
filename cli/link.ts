import { codeFromString } from "@connectrpc/connect/protocol-connect";
import { Failure, Hop, StreamError } from "../web/node.js";
import type { RelayUrl } from "../web/transport/relay-url.js";
import { type Command, onlyArgument, parseCommandLine } from "./command/command.js";
import {
  accessTokenFrom,
  relayAddress,
  relayOptions,
  relayOptionsHelp,
  unreachedError,
} from "./command/relay-access.js";
import { notice } from "./terminal/notice.js";
import { print } from "./terminal/output.js";

const help = `Usage: bss link NAME [options]

Prints a link to NAME for a person, whose browser has no access token: the first browser that opens it, and presses its
button, may call NAME through the relay's gateway for a day. It works once, within ten minutes. The access token is one
that may connect to NAME; when it ends, or is revoked, so does what the link has given.

The link is known to the process of the relay that made it, and to no other one behind the same address, and not after a
restart. A relay without a policy makes none: everybody who reaches it may call NAME by its URL.

${relayOptionsHelp}`;

const minuteMs = 60_000;
/** A policy of the relay may take 10 s by default, before which nothing is answered. */
const answerTimeoutMs = 30_000;
/** An answer of a gateway has two fields, or a few lines of words. */
const maxAnswerBytes = 65_536;
const maxWordsCharacters = 1_024;

/** `bss link` */
export const linkCommand: Command = {
  name: "link",
  summary: "prints a link that lets a person's browser in to a name",
  help,
  async run(args, signal) {
    const { values, positionals } = parseCommandLine(args, relayOptions);
    const name = onlyArgument(positionals, "NAME");
    const token = accessTokenFrom(values);
    const given = typeof token === "function" ? await token() : token;
    const relay = relayAddress(values);
    // The gateway is at the root of the relay's server, whatever prefix the RPCs have.
    const url = new URL(`/~visit/${encodeURIComponent(name)}`, relay.href);
    const { status, headers, body } = await post(url, credentials(relay, given), signal, relay);
    if (status !== 201) throw refusal(status, headers, body);
    const link = linkIn(body);
    await print(`${link.url}\n`);
    notice(`works once, within ${Math.round(link.expiresInMs / minuteMs)} minutes`);
  },
};

interface Answer {
  status: number;
  headers: Headers;
  body: string;
}

async function post(url: URL, headers: HeadersInit, signal: AbortSignal, relay: RelayUrl): Promise<Answer> {
  const ending = AbortSignal.any([signal, AbortSignal.timeout(answerTimeoutMs)]);
  try {
    const response = await fetch(url, { method: "POST", headers, signal: ending, redirect: "error" });
    return { status: response.status, headers: response.headers, body: await bodyOf(response) };
  } catch (cause) {
    signal.throwIfAborted();
    // The error of `fetch` itself says no more than that it failed.
    throw unreachedError((cause as Error).cause ?? cause, relay);
  }
}

/** The body of an answer, or its beginning if it is longer than a gateway's. */
async function bodyOf({ body }: Response): Promise<string> {
  const parts: Uint8Array[] = [];
  let bytes = 0;
  for await (const part of body ?? []) {
    parts.push(part);
    bytes += part.byteLength;
    if (bytes > maxAnswerBytes) break;
  }
  return Buffer.concat(parts).toString().slice(0, maxAnswerBytes);
}

/** The link in the answer of a gateway. As the `href` of a URL it has no character that a terminal does not show. */
function linkIn(body: string): { url: string; expiresInMs: number } {
  try {
    const { url, expiresInMs } = JSON.parse(body) as { url: unknown; expiresInMs: unknown };
    const { href, protocol } = new URL(String(url));
    if (/^https?:$/.test(protocol) && typeof expiresInMs === "number") return { url: href, expiresInMs };
  } catch {
    // It is no link either way.
  }
  const message = "what the relay has answered with is no link";
  throw new StreamError(message, { failure: Failure.PROTOCOL_VIOLATION, hop: Hop.RELAY });
}

/**
 * The headers that say who asks. Credentials in the relay's URL are for a proxy in front of it, which has the first
 * word.
 */
function credentials({ username, password }: RelayUrl, token: string | undefined): Record<string, string> {
  const bearer = token === undefined ? undefined : `Bearer ${token}`;
  if (username + password === "") return bearer === undefined ? {} : { authorization: bearer };
  const basic = { authorization: basicCredentials({ username, password }) };
  return bearer === undefined ? basic : { ...basic, "proxy-authorization": bearer };
}

function basicCredentials({ username, password }: { username: string; password: string }): string {
  const text = `${decodeURIComponent(username)}:${decodeURIComponent(password)}`;
  return `Basic ${Buffer.from(text).toString("base64")}`;
}

/**
 * The error in the answer of a gateway. Its header `Stream-Error` has the facts, and the last line of its body the
 * words.
 */
function refusal(status: number, headers: Headers, body: string): StreamError {
  const facts = headers.get("stream-error");
  if (facts === null) {
    const why =
      status === 404 || status === 405
        ? ": it has no gateway, or no policy, without which everybody who reaches it may call the name by its URL"
        : "";
    return new StreamError(`the relay makes no link, and answers with HTTP ${status}${why}`);
  }
  const fact = (key: string) => new RegExp(`\\b${key}=([a-z_]+)`).exec(facts)?.[1] ?? "";
  return new StreamError((body.trim().split("\n").at(-1) ?? "").slice(0, maxWordsCharacters), {
    failure: Failure[fact("failure").toUpperCase() as keyof typeof Failure],
    hop: Hop[fact("hop").toUpperCase() as keyof typeof Hop],
    code: codeFromString(fact("code")),
  });
}
