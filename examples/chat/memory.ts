/**
 * Reads what this browser remembers. A page that may not keep anything, as in some private windows, remembers nothing.
 */
export function recall(where: "tab" | "browser", key: string): string | undefined {
  try {
    return storage(where).getItem(key) ?? undefined;
  } catch {
    return undefined;
  }
}

/** Remembers a value for this tab, or for every tab of this browser; `undefined` forgets it. */
export function remember(where: "tab" | "browser", key: string, value: string | undefined): void {
  try {
    if (value === undefined) storage(where).removeItem(key);
    else storage(where).setItem(key, value);
  } catch {
    // The page works without it: a reload starts afresh.
  }
}

function storage(where: "tab" | "browser"): Storage {
  return where === "tab" ? sessionStorage : localStorage;
}
