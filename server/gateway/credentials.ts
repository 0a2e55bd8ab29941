import type { NodeRequest } from "../http/node-server.js";
import { bearerToken } from "../rpc/bearer-token.js";

/** The access token that came with a request for a listener. */
export interface Credentials {
  /** Empty if none came. */
  token: string;
  /** Whether the relay has used Authorization up, so that the listener does not get it. */
  dropsAuthorization: boolean;
}

/** Returns the access token of a request: that of Proxy-Authorization, if there is one, or that of Authorization. */
export function credentialsOf({ headers }: NodeRequest, hasPolicy: boolean): Credentials {
  const given = bearerToken(headers["proxy-authorization"]);
  if (given !== "") return { token: given, dropsAuthorization: false };
  const token = bearerToken(headers.authorization);
  return { token, dropsAuthorization: hasPolicy && token !== "" };
}
