import { followPage } from "./page-life.js";

/** The secret with which a page proves that a name was its own. */
export interface OwnerKey {
  readonly value: string;
  /**
   * Must be called when the name is not needed any more. `isKept`: the next claim of the name in this tab gets the key.
   */
  release(isKept: boolean): void;
}

/**
 * Takes the owner key that this tab keeps for a name at a relay, or makes a new one of 128 random bits.
 *
 * - The key is in `sessionStorage` only while no page uses it: it is taken out here, and put back when the page is left
 *   or the key is released as kept. So a page that was loaded again has the key of its name, and a tab that was
 *   duplicated, whose storage is a copy, has not.
 * - The key is new, and kept nowhere, without the URL of a relay, outside of pages, and in a page that may store
 *   nothing.
 */
export function takeOwnerKey(relayUrl: string | undefined, name: string): OwnerKey {
  const newKey = () => crypto.getRandomValues(new Uint32Array(4)).join(".");
  const item = `browser-stream-server: owner key of ${JSON.stringify(name)} at ${relayUrl}`;
  if (relayUrl === undefined || typeof document === "undefined") return { value: newKey(), release() {} };
  const value = stored((storage) => storage.getItem(item)) ?? newKey();
  const onLeave = () => stored((storage) => storage.setItem(item, value));
  const onShow = () => stored((storage) => storage.removeItem(item));
  onShow();
  const stopFollowing = followPage({ onLeave, onShow, onWake() {} });
  const release = (isKept: boolean) => {
    stopFollowing();
    if (isKept) onLeave();
  };
  return { value, release };
}

function stored<T>(use: (storage: Storage) => T): T | undefined {
  try {
    return use(sessionStorage);
  } catch {
    // A page may have no storage, or a full one.
    return undefined;
  }
}
