import { ConnectError, type HandlerContext } from "@connectrpc/connect";
import type { AdmitWatch } from "../../http/service/health-routes.js";
import type { Hold } from "../admission/admission.js";
import type { Caller } from "../admission/caller.js";
import type { Relay } from "../relay/relay.js";
import { callerOf, takePlace } from "./caller.js";
import { wireErrorOf } from "./wire-error.js";

/** Counts the calls that watch the health of a relay. Refuses those for which there is no room. */
export function admitHealthWatch(relay: Pick<Relay, "admission" | "refused">): AdmitWatch {
  return (context: HandlerContext) => {
    const hold = holdWatch(relay, callerOf(context));
    takePlace(context);
    return () => hold.release();
  };
}

/** The protocol of health checks has no details of errors, so a refusal has its message, its code and its id. */
function holdWatch(relay: Pick<Relay, "admission" | "refused">, caller: Caller): Hold {
  try {
    return relay.admission.hold(caller, { kind: "health watch" });
  } catch (reason) {
    const { rawMessage, code, metadata } = wireErrorOf(relay.refused(reason, { call: "health", caller }));
    throw new ConnectError(rawMessage, code, metadata);
  }
}
