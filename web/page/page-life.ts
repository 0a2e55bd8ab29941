import { Code } from "@connectrpc/connect";
import { Failure, Hop } from "../../gen/streamserver/v1/failure_pb.js";
import { StreamError } from "../../stream/error/stream-error.js";

/** The turns in the life of a page. */
export interface PageLife {
  /** The page is left. It may come back out of the back/forward cache, which keeps no page with an open connection. */
  onLeave(): void;
  /**
   * The page is there: at first, or again after it was left or stood still. Called before those of the page's own
   * listeners that do not capture.
   */
  onShow(): void;
  /** The page runs again after it may have stood still, or it has another network. */
  onWake(): void;
}

/** Follows the page until the returned function is called. Does nothing where there are no pages. */
export function followPage({ onLeave, onShow, onWake }: PageLife): () => void {
  if (typeof document === "undefined") return () => {};
  const following = new AbortController();
  const { signal } = following;
  const first = { signal, capture: true };
  const onRun = () => {
    onShow();
    onWake();
  };
  const onVisibility = () => {
    if (document.visibilityState === "visible") onRun();
  };
  addEventListener("pagehide", onLeave, { signal });
  addEventListener("pageshow", onShow, first);
  addEventListener("online", onWake, { signal });
  // When a page comes back, Chromium emits "resume" and "visibilitychange" before "pageshow".
  document.addEventListener("resume", onRun, first);
  document.addEventListener("visibilitychange", onVisibility, first);
  return () => following.abort();
}

/** The error of a page that was left. The relay takes it for a goodbye. */
export function pageLeftError(): StreamError {
  return new StreamError("the page was left", { code: Code.Canceled, failure: Failure.LEG_LOST, hop: Hop.CALLER });
}
