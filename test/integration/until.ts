const turnMs = 1;
const maxTurns = 4_000;
/** A number counts as settled when it has not changed for this long. */
const standstillMs = 500;

/** Resolves when something holds that nothing tells; throws with what `otherwise` says if it does not come about. */
export async function until(holds: () => boolean | Promise<boolean>, otherwise: () => string = String): Promise<void> {
  for (let turns = 0; !(await holds()); turns += 1) {
    if (turns === maxTurns) throw new Error(`it did not come about: ${otherwise()}`);
    await new Promise((resolve) => setTimeout(resolve, turnMs));
  }
}

/** Resolves when `read` has given the same number for a while: nothing else tells that a sender has stopped. */
export async function standstill(read: () => number): Promise<void> {
  let [last, sinceMs] = [read(), performance.now()];
  while (performance.now() - sinceMs < standstillMs) {
    await new Promise((resolve) => setTimeout(resolve, turnMs));
    if (read() !== last) [last, sinceMs] = [read(), performance.now()];
  }
}
