import { create } from "@bufbuild/protobuf";
import { CallerSchema, type Caller as WireCaller } from "../../gen/streamserver/v1/relay_pb.js";

/**
 * The way by which a call came to the relay.
 *
 * - `http`: a request of its own, over HTTP/1.1 or HTTP/2.
 * - `websocket`: a request for a WebSocket, which becomes a link.
 * - `link`: a channel of a link. The facts are those of the request that opened the link.
 * - `gateway`: a request for a listener, whose stream the relay's own process opens for the caller.
 * - `local`: the relay's own process.
 */
export type Door = "http" | "websocket" | "link" | "gateway" | "local";

/** The facts about a caller that the relay's policy has verified. */
export interface Claims {
  /** The identity of the caller. Empty if the policy told none. */
  readonly subject: string;
  /** A name of the caller for people. Empty for none. */
  readonly name: string;
  readonly meta: Readonly<Record<string, string>>;
  /** When the token that proved it was made, or else when the grant was given, in milliseconds since 1970. */
  readonly issuedAtMs: number;
  /** The end of the grant, in milliseconds since 1970. Undefined for none. */
  readonly expiresAtMs: number | undefined;
  /** Whether the end of the grant also ends everything that was opened by it. */
  readonly cut: boolean;
  /** The id of the token that proved it. Empty for none. */
  readonly tokenId: string;
}

/** The facts that the relay knows about a caller. They are made where a request, a link or this process enters. */
export interface Caller {
  /** The Origin header of the request. Empty if it has none. */
  readonly origin: string;
  /**
   * The IP address that the connection comes from, or that a trusted proxy in front of the relay says. Empty for a
   * caller of this process.
   */
  readonly address: string;
  readonly door: Door;
  /** Whether a trusted proxy has brought the call of somebody else, who is not on this machine whatever the address. */
  readonly isForwarded?: boolean | undefined;
  /** Undefined as long as nobody has verified anything. */
  readonly claims?: Claims | undefined;
  /**
   * The id of the visit of somebody who came by a link. The claims are those of the link's maker, by which the visitor
   * is let in, counted and revoked, and who it is not.
   */
  readonly visit?: string | undefined;
}

/** The caller of everything that the relay's own process does. */
export const localCaller: Caller = { origin: "", address: "", door: "local" };

/** Whether the endpoint of a caller is in the relay's process, whoever it acts for. */
export function isInProcess({ door }: Caller): boolean {
  return door === "local" || door === "gateway";
}

/** Returns the facts about a client that its listener is told. A visitor is nobody but the one of its visit. */
export function callerToWire({ origin, claims, door, visit }: Caller): WireCaller {
  const viaGateway = door === "gateway";
  if (visit !== undefined) return create(CallerSchema, { origin, meta: { visit }, viaGateway });
  const { subject = "", name = "", meta = {} } = claims ?? {};
  return create(CallerSchema, { origin, subject, name, meta, viaGateway });
}
