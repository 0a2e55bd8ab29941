import { readFileSync } from "node:fs";
import type { AccessKeyOptions } from "../../server/access/access-keys.js";
import { type TokenPolicy, tokenPolicy } from "../../server/index.js";
import { UsageError } from "../command/command.js";
import { type KeyFile, openKeyFile } from "../command/key-file.js";

/** The settings of `bss serve` that say which access tokens are good, as in the configuration file. */
export interface PolicySettings {
  secretFile?: string | undefined;
  publicKey?: string | undefined;
  jwks?: string | undefined;
  issuer?: string | undefined;
  audience?: string | undefined;
  expiredTokensCut?: boolean | undefined;
}

/** The flags of these settings. */
export const policyFlags = {
  "secret-file": { type: "string" },
  "public-key": { type: "string" },
  jwks: { type: "string" },
  issuer: { type: "string" },
  audience: { type: "string" },
  "expired-tokens-cut": { type: "boolean" },
} as const;

/** Whether the settings name keys of access tokens. */
export function hasPolicy({ secretFile, publicKey, jwks }: PolicySettings): boolean {
  return [secretFile, publicKey, jwks].some((setting) => setting !== undefined);
}

export interface ServePolicy {
  authorize: TokenPolicy;
  /** The file of the shared secret. Undefined for other keys. */
  secretFile: KeyFile | undefined;
}

/**
 * Returns the policy of the settings; undefined if they name no keys, and then everybody may do everything. Makes the
 * file of the secret if it is not there. Throws a `UsageError` for settings that cannot be.
 */
export function readPolicy(settings: PolicySettings): ServePolicy | undefined {
  const { secretFile: secretPath, publicKey, jwks, issuer, audience, expiredTokensCut } = settings;
  const claims = { issuer, audience, expiredTokensCut };
  const given = [secretPath, publicKey, jwks].filter((setting) => setting !== undefined);
  if (given.length > 1) throw new UsageError("access tokens have one kind of key: a secret, a public key or a key set");
  if (!hasPolicy(settings)) {
    const unused = Object.entries(claims).find(([, value]) => value !== undefined);
    if (unused === undefined) return undefined;
    throw new UsageError(`${unused[0]} is for access tokens, and goes with a secret, a public key or a key set`);
  }
  const secretFile = secretPath === undefined ? undefined : openKeyFile(secretPath);
  const keys: AccessKeyOptions = {
    secret: secretFile?.keys,
    publicKey: publicKey === undefined ? undefined : readText(publicKey, "public key"),
    jwks: jwks === undefined ? undefined : readKeySet(jwks),
  };
  try {
    return { authorize: tokenPolicy({ ...keys, ...claims }), secretFile };
  } catch (reason) {
    throw new UsageError((reason as Error).message);
  }
}

/** A key set is at a URL, or in a file. */
function readKeySet(place: string): AccessKeyOptions["jwks"] {
  if (/^https?:/i.test(place)) return place;
  try {
    return JSON.parse(readText(place, "key set"));
  } catch (reason) {
    if (reason instanceof UsageError) throw reason;
    throw new UsageError(`the key set ${place} is no JSON: ${(reason as Error).message}`);
  }
}

function readText(path: string, what: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch (reason) {
    throw new UsageError(`the ${what} ${path} cannot be read: ${(reason as Error).message}`);
  }
}
