import { Code } from "@connectrpc/connect";
import { Failure, Hop } from "../gen/streamserver/v1/failure_pb.js";
import { StreamError } from "../stream/stream-error.js";
import type { OpenedLink } from "./opened-link.js";

/**
 * Ends a link when its page is left: so that the relay knows at once, and so that the page can go into the back/forward cache,
 * which takes none with a connection. Asks for the other side when the page wakes, or has another network. Does nothing where
 * there are no pages.
 */
export function followPage({ link, watch }: OpenedLink): void {
  if (typeof document === "undefined") return;
  const following = new AbortController();
  const { signal } = following;
  const onWake = () => {
    if (document.visibilityState === "visible") watch.ask();
  };
  addEventListener("pagehide", () => link.close(left()), { signal });
  addEventListener("online", () => watch.ask(), { signal });
  document.addEventListener("resume", () => watch.ask(), { signal });
  document.addEventListener("visibilitychange", onWake, { signal });
  void link.closed.then(() => following.abort());
}

function left(): StreamError {
  return new StreamError("the page was left", { code: Code.Canceled, failure: Failure.LEG_LOST, hop: Hop.CALLER });
}
