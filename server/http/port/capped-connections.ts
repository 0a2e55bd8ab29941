import type { Server, Socket } from "node:net";
import type { Admission } from "../../admission/admission.js";
import { plainAddress, type TrustedProxies } from "../request/trusted-proxies.js";

/**
 * Closes a connection to a port of the relay's own whose address has too many already. A trusted proxy may have any
 * number, because it brings those of its callers. Returns what stops it.
 */
export function capConnections(
  listener: Pick<Server, "prependListener" | "off">,
  admission: Admission,
  proxies: TrustedProxies,
): () => void {
  const onConnection = (socket: Socket) => {
    const address = plainAddress(socket.remoteAddress ?? "");
    if (proxies.includes(address)) return;
    try {
      const hold = admission.hold({ origin: "", address, door: "http" }, { kind: "connection" });
      socket.once("close", () => hold.release());
    } catch {
      // The operator has been warned. Nobody can be told on a connection that speaks no protocol yet.
      socket.destroy();
    }
  };
  // The port's own listener is to find a connection closed that is refused.
  listener.prependListener("connection", onConnection);
  return () => void listener.off("connection", onConnection);
}
