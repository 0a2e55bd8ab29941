import { generateKeyPairSync, type KeyObject } from "node:crypto";
import type { AuthorizeRequest } from "../../server/admission/authorize.js";
import { localCaller } from "../../server/admission/caller.js";

/** A secret of the least length, for tests. */
export const accessSecret = Buffer.alloc(32, "a").toString("base64url");

export interface PemPair {
  publicKey: string;
  privateKey: string;
}

/** Returns a new pair of keys in PEM. */
export function pemPair(kind: "rsa" | "P-256" | "ed25519"): PemPair {
  const { publicKey, privateKey } = keyPair(kind);
  return {
    publicKey: publicKey.export({ type: "spki", format: "pem" }).toString(),
    privateKey: privateKey.export({ type: "pkcs8", format: "pem" }).toString(),
  };
}

function keyPair(kind: "rsa" | "P-256" | "ed25519"): { publicKey: KeyObject; privateKey: KeyObject } {
  if (kind === "rsa") return generateKeyPairSync("rsa", { modulusLength: 2_048 });
  if (kind === "P-256") return generateKeyPairSync("ec", { namedCurve: "P-256" });
  return generateKeyPairSync("ed25519");
}

/** A question of a client that wants to connect to "room/42", changed by `changes`. */
export function authorizeRequest(token: string, changes: Partial<AuthorizeRequest> = {}): AuthorizeRequest {
  return { action: "connect", name: "room/42", token, caller: localCaller, metadata: {}, ...changes };
}
