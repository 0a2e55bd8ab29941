const now = Promise.resolve();

/**
 * Calls `action` when the turn that runs is over, before anything else happens. It must not throw.
 *
 * Not `queueMicrotask`, which makes an object for each call in Node and crosses into the browser's own code in a page:
 * this is three times as fast.
 */
export function afterTurn(action: () => void): void {
  void now.then(action);
}
