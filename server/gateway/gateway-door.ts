import { create } from "@bufbuild/protobuf";
import { OpenSchema } from "../../gen/streamserver/v1/relay_pb.js";
import type { Hold } from "../admission/admission.js";
import type { Caller } from "../admission/caller.js";
import type { Admitted } from "../admission/policy/authorize.js";
import type { NodeRequest } from "../http/node-server.js";
import type { Relay } from "../relay/relay.js";
import { connectRpc } from "../rpc/leg/leg-rpc.js";
import { credentialsOf } from "./credentials.js";
import type { GatewayTarget } from "./gateway-target.js";
import type { Visits } from "./visit/visits.js";

/** A caller that was let in, and how. */
export interface Entrance {
  admitted: Admitted;
  /** The access token, or the cookie of a visitor. Empty if neither came. */
  token: string;
  /** Whether the relay has used Authorization up, so that the listener does not get it. */
  dropsAuthorization: boolean;
}

/** Lets the callers of listeners in: by an access token, by the cookie of a visitor, or where everybody may come. */
export class GatewayDoor {
  readonly #relay: Relay;
  readonly #visits: Visits | undefined;

  constructor(relay: Relay, visits: Visits | undefined) {
    this.#relay = relay;
    this.#visits = visits;
  }

  /**
   * Lets `caller`, who sends a request, in.
   *
   * - `call`: the connection or the response of the call, which counts until that is closed.
   * - `metadataOf` makes the metadata for the listener.
   * - Rejects with the refusal of the relay or of its policy.
   */
  async admit(
    target: GatewayTarget,
    request: NodeRequest,
    caller: Caller,
    call: { once(event: "close", listener: () => void): unknown },
    metadataOf: (dropsAuthorization: boolean) => Record<string, string>,
  ): Promise<Entrance> {
    const { admission } = this.#relay;
    let hold: Hold | undefined;
    let state = "open" as "open" | "closed";
    call.once("close", () => {
      state = "closed";
      hold?.release();
    });
    const telling = <T>(who: Caller, act: () => T) => this.#telling(target, who, act);
    hold = telling(caller, () => admission.hold(caller, { kind: "gateway call" }));
    const { token, dropsAuthorization } = credentialsOf(request, admission.hasPolicy);
    const metadata = metadataOf(dropsAuthorization);
    const visitor = telling(caller, () => this.#visits?.visitorOf(target, request, caller, metadata));
    const open = create(OpenSchema, { name: target.name, metadata });
    const admitted = visitor?.admitted ?? (await connectRpc.admit(this.#relay, open, caller, token));
    // From here on the call counts for whoever it is.
    if (admitted.caller !== caller) {
      hold = telling(admitted.caller, () => admission.hold(admitted.caller, { kind: "gateway call" }, hold));
    }
    if (state === "closed") hold.release();
    return { admitted, token: visitor?.cookie ?? token, dropsAuthorization };
  }

  /** Tells those who watch the relay if what is done for a call is refused. */
  #telling<T>({ name }: GatewayTarget, caller: Caller, act: () => T): T {
    try {
      return act();
    } catch (reason) {
      throw this.#relay.refused(reason, { call: "gateway", caller, name });
    }
  }
}
