import type { Link } from "../link/link.js";
import type { LinkWatch } from "../link/link-watch.js";

/** What carries a link: one WebSocket, or `Receive` and `Send`. */
export type LinkKind = "websocket" | "fetch";

/** A link that the relay has opened. Closing it ends what carries it. */
export interface OpenedLink {
  kind: LinkKind;
  link: Link;
  watch: LinkWatch;
}

/** Rejects with a `StreamError`. */
export type LinkOpener = () => Promise<OpenedLink>;
