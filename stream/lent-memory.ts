/** Views of one buffer that are still looked at, and what to do when none is any more. */
interface Loan {
  readonly views: Set<Uint8Array>;
  readonly onReturned: () => void;
}

const loans = new WeakMap<ArrayBufferLike, Loan>();

/**
 * Hands on the only view of a buffer. `onReturned` is called when it was given back, with all that it was divided into.
 */
export function lend(view: Uint8Array, onReturned: () => void): void {
  loans.set(view.buffer, { views: new Set([view]), onReturned });
}

/**
 * Replaces a view by its parts, each of which is then given back by itself. Does nothing with memory that nobody has
 * lent.
 */
export function divide(view: Uint8Array, parts: readonly Uint8Array[]): void {
  const loan = loans.get(view.buffer);
  if (!loan?.views.delete(view)) return;
  for (const part of parts) if (part.buffer === view.buffer) loan.views.add(part);
}

/**
 * Gives a view back, which nobody may read any more. A view that is never given back is left to the garbage collector.
 */
export function giveBack(view: Uint8Array): void {
  const { buffer } = view;
  const loan = loans.get(buffer);
  if (!loan?.views.delete(view) || loan.views.size > 0) return;
  loans.delete(buffer);
  loan.onReturned();
}
