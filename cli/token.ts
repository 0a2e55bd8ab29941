import { defaultTokenTtlMs } from "../server/access/mint-token.js";
import type { StreamAction } from "../server/access/stream-rights.js";
import { mintToken } from "../server/index.js";
import { type Command, parseCommandLine, parseDurationMs, UsageError } from "./command/command.js";
import { parseKeys, readSecret } from "./command/key-file.js";
import { print } from "./terminal/output.js";

const help = `Usage: bss token --key FILE [--listen NAMES] [--connect NAMES] [--list NAMES] [--admin] [options]

Prints an access token, which lets its holder use a relay that wants one, as \`bss serve --secret-file FILE\` does.

NAMES is a name or a pattern of names, and each of the three options may be repeated: \`*\` is one segment of a name,
\`**\` any number of segments, and \`{sub}\` the subject of the token.

  --key FILE       the secret that is shared with the relay, or a private key in PEM
  --listen NAMES   lets its holder claim these names
  --connect NAMES  lets its holder connect to these names
  --list NAMES     lets its holder see these names, of those that are listed
  --admin          makes its holder an operator, for a relay that has them (\`bss serve --admin\`)
  --ttl TIME       how long the token is good, as in 90s, 10m, 2h or 7d (default 1h)
  --cut            ends what the token has opened when it expires; otherwise only what is new is refused
  --sub TEXT       who the holder is, for \`{sub}\`, for listeners, and to revoke the token by
  --name TEXT      how the holder is called, for listeners
  --meta KEY=TEXT  a fact about the holder, for listeners; may be repeated
  --id TEXT        the id of the token, to revoke it by (default a random one)
  --issuer TEXT    who made the token, for a relay that asks for it
  --audience TEXT  for which relay it is, for a relay that asks for it
  --key-id TEXT    the id of the private key, for a relay that has a key set
  --help           this text

Examples:
  bss token --key secret --listen room/42 --ttl 10m
  bss token --key secret --sub ann --connect 'room/*' --listen 'user/{sub}/**' --list 'room/*'
`;

/** `bss token` */
export const tokenCommand: Command = {
  name: "token",
  summary: "prints an access token, for a relay that wants one",
  help,
  async run(args) {
    const { values, positionals } = parseCommandLine(args, {
      key: { type: "string" },
      listen: { type: "string", multiple: true },
      connect: { type: "string", multiple: true },
      list: { type: "string", multiple: true },
      admin: { type: "boolean" },
      ttl: { type: "string" },
      cut: { type: "boolean" },
      sub: { type: "string" },
      name: { type: "string" },
      meta: { type: "string", multiple: true },
      id: { type: "string" },
      issuer: { type: "string" },
      audience: { type: "string" },
      "key-id": { type: "string" },
    });
    if (positionals.length > 0) throw new UsageError(`token takes no ${JSON.stringify(positionals[0])}`);
    const {
      listen = [],
      connect = [],
      list = [],
      admin = false,
      cut,
      sub: subject,
      name,
      id: tokenId,
      issuer,
      audience,
    } = values;
    const streams = rightsFrom({ listen, connect, list });
    if (Object.keys(streams).length === 0 && !admin) {
      throw new UsageError("a token allows something: give --listen, --connect, --list or --admin");
    }
    if (values.key === undefined) throw new UsageError("--key is missing, the file of the key that signs");
    const ttlMs = values.ttl === undefined ? defaultTokenTtlMs : parseDurationMs(values.ttl, "--ttl");
    const meta = values.meta === undefined ? undefined : Object.fromEntries(values.meta.map(parseFact));
    const facts = { subject, name, meta, tokenId, issuer, audience, keyId: values["key-id"] };
    const key = readSigningKey(values.key);
    const token = await mintToken({ ...key, ...facts, streams, admin, ttlMs, cut }).catch((reason: Error) => {
      throw new UsageError(reason.message);
    });
    await print(`${token}\n`);
  },
};

function rightsFrom(patterns: Readonly<Record<StreamAction, readonly string[]>>): Record<string, StreamAction[]> {
  const rights = new Map<string, StreamAction[]>();
  for (const action of ["listen", "connect", "list"] as const) {
    for (const pattern of patterns[action]) rights.set(pattern, [...(rights.get(pattern) ?? []), action]);
  }
  return Object.fromEntries(rights);
}

function parseFact(fact: string): [string, string] {
  const at = fact.indexOf("=");
  if (at > 0) return [fact.slice(0, at), fact.slice(at + 1)];
  throw new UsageError(`--meta takes KEY=TEXT, not ${JSON.stringify(fact)}`);
}

/** The key that signs, from a file that nobody but its owner has access to. */
function readSigningKey(path: string): { privateKey: string } | { secret: Uint8Array | undefined } {
  const text = readSecret(path);
  if (text === undefined)
    throw new UsageError(`there is no key file ${path}: bss serve --secret-file ${path} makes one`);
  return text.includes("-----BEGIN") ? { privateKey: text } : { secret: parseKeys(text, path)[0] };
}
