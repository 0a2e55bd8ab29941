const now = Promise.resolve();

/**
 * Calls `action` in a microtask, which runs when the code that runs now is done. `action` must not throw.
 *
 * It is three times as fast as `queueMicrotask`, which makes an object for each call in Node and crosses into the
 * browser's own code in a page.
 */
export function afterTurn(action: () => void): void {
  void now.then(action);
}
