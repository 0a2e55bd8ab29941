import { codeFromString } from "@connectrpc/connect/protocol-connect";
import { Failure, Hop, StreamError } from "../web/node.js";
import { type Command, onlyArgument, parseCommandLine, UsageError } from "./command/command.js";
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

${relayOptionsHelp}`;

const minuteMs = 60_000;

/** `bss link` */
export const linkCommand: Command = {
  name: "link",
  summary: "prints a link that lets a person's browser in to a name",
  help,
  async run(args, signal) {
    const { values, positionals } = parseCommandLine(args, relayOptions);
    const name = onlyArgument(positionals, "NAME");
    const token = accessTokenFrom(values);
    if (token === undefined) throw new UsageError("a link is made with an access token: --token or --token-file");
    const given = typeof token === "function" ? await token() : token;
    const relay = relayAddress(values);
    // The gateway is at the root of the relay's server, whatever prefix the RPCs have.
    const url = new URL(`/~visit/${encodeURIComponent(name)}`, relay.href);
    const basic = relay.username + relay.password === "" ? undefined : basicCredentials(relay);
    const headers: HeadersInit =
      basic === undefined
        ? { authorization: `Bearer ${given}` }
        : { authorization: basic, "proxy-authorization": `Bearer ${given}` };
    let response: Response;
    try {
      response = await fetch(url, { method: "POST", headers, signal, redirect: "error" });
    } catch (cause) {
      signal.throwIfAborted();
      // The error of `fetch` itself says no more than that it failed.
      throw unreachedError((cause as Error).cause ?? cause, relay);
    }
    if (response.status !== 201) throw refusal(response.status, response.headers, await response.text());
    const link = (await response.json()) as { url: string; expiresInMs: number };
    await print(`${link.url}\n`);
    notice(`works once, within ${Math.round(link.expiresInMs / minuteMs)} minutes`);
  },
};

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
    const why = status === 404 ? ": it has no gateway, or no policy that a link would help with" : "";
    return new StreamError(`the relay makes no link, and answers with HTTP ${status}${why}`);
  }
  const fact = (key: string) => new RegExp(`\\b${key}=([a-z_]+)`).exec(facts)?.[1] ?? "";
  return new StreamError(body.trim().split("\n").at(-1) ?? "", {
    failure: Failure[fact("failure").toUpperCase() as keyof typeof Failure],
    hop: Hop[fact("hop").toUpperCase() as keyof typeof Hop],
    code: codeFromString(fact("code")),
  });
}
