import { generateKeyPairSync, type KeyObject } from "node:crypto";
import { localCaller } from "../../server/admission/caller.js";
import type { AuthorizeRequest } from "../../server/admission/policy/authorize.js";

/** A secret of the least length, for tests. */
export const accessSecret = Buffer.alloc(32, "a").toString("base64url");

export interface PemPair {
  publicKey: string;
  privateKey: string;
}

type KeyKind = "rsa" | "P-256" | "secp256k1" | "ed25519";

/** Returns a new pair of keys in PEM. */
export function pemPair(kind: KeyKind, rsaBits = 2_048): PemPair {
  const { publicKey, privateKey } = keyPair(kind, rsaBits);
  return {
    publicKey: publicKey.export({ type: "spki", format: "pem" }).toString(),
    privateKey: privateKey.export({ type: "pkcs8", format: "pem" }).toString(),
  };
}

function keyPair(kind: KeyKind, modulusLength: number): { publicKey: KeyObject; privateKey: KeyObject } {
  if (kind === "rsa") return generateKeyPairSync("rsa", { modulusLength });
  if (kind === "ed25519") return generateKeyPairSync("ed25519");
  return generateKeyPairSync("ec", { namedCurve: kind });
}

/** A question of a client that wants to connect to "room/42", changed by `changes`. */
export function authorizeRequest(token: string, changes: Partial<AuthorizeRequest> = {}): AuthorizeRequest {
  return { action: "connect", name: "room/42", token, caller: localCaller, metadata: {}, ...changes };
}
