import type { LinkMemory } from "./link-choice.js";

/** A memory as long as the browser tab's session; as long as the page where a page may store nothing. */
export function sessionMemory(relayUrl: string): LinkMemory {
  const key = `browser-stream-server: link to ${relayUrl}`;
  let prefersFetch = false;
  const stored = <T>(use: (storage: Storage) => T): T | undefined => {
    try {
      return use(sessionStorage);
    } catch {
      return undefined;
    }
  };
  return {
    get prefersFetch() {
      return prefersFetch || stored((storage) => storage.getItem(key)) === "fetch";
    },
    set prefersFetch(prefers) {
      prefersFetch = prefers;
      stored((storage) => (prefers ? storage.setItem(key, "fetch") : storage.removeItem(key)));
    },
  };
}
