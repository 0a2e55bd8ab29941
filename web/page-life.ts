/** What becomes of a page. */
export interface PageLife {
  /** It is left. It may come back as it was, out of the back/forward cache, which takes no page with a connection. */
  onLeave(): void;
  /** It is shown at first, or after it was left. */
  onShow(): void;
  /** It runs again after it may have stood still, or it has another network. */
  onWake(): void;
}

/** Follows the page until the returned function is called. Does nothing where there are no pages. */
export function followPage({ onLeave, onShow, onWake }: PageLife): () => void {
  if (typeof document === "undefined") return () => {};
  const following = new AbortController();
  const { signal } = following;
  const onVisibility = () => {
    if (document.visibilityState === "visible") onWake();
  };
  addEventListener("pagehide", onLeave, { signal });
  addEventListener("pageshow", onShow, { signal });
  addEventListener("online", onWake, { signal });
  document.addEventListener("resume", onWake, { signal });
  document.addEventListener("visibilitychange", onVisibility, { signal });
  return () => following.abort();
}
