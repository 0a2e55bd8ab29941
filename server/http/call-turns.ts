import { Fifo } from "../../stream/platform/fifo.js";

/**
 * Calls of one connection that are begun in one turn of the event loop. A call takes a tenth of a millisecond, so that
 * other connections wait a few milliseconds at most.
 */
export const callsPerTurn = 32;

/** The calls of a connection that were begun in this turn, and those that wait for the next. */
interface Turn {
  begun: number;
  readonly waiting: Fifo<() => void>;
}

/**
 * Spreads the calls of a connection of HTTP/2, or of a link, over turns of the event loop. One read of the network may
 * bring 2,000 calls, each of them reset by the next frame, and in the next turn the reset ones are known.
 */
export class CallTurns {
  readonly #turns = new WeakMap<object, Turn>();

  /**
   * Runs `begin` at once and returns what it returns, or runs it in a later turn and resolves with that. Calls of one
   * connection begin in their order.
   */
  run<T>(connection: object, begin: () => T | Promise<T>): T | Promise<T> {
    const turn = this.#turns.get(connection);
    if (turn === undefined) {
      const first: Turn = { begun: 1, waiting: new Fifo() };
      this.#turns.set(connection, first);
      this.#planNext(connection, first);
      return begin();
    }
    if (turn.begun < callsPerTurn) {
      turn.begun += 1;
      return begin();
    }
    return new Promise((resolve) => turn.waiting.push(() => resolve(begin())));
  }

  #planNext(connection: object, turn: Turn): void {
    setImmediate(() => {
      if (turn.waiting.length === 0) return void this.#turns.delete(connection);
      this.#planNext(connection, turn);
      turn.begun = 0;
      for (let begin = turn.waiting.shift(); begin !== undefined; begin = turn.waiting.shift()) {
        turn.begun += 1;
        begin();
        if (turn.begun === callsPerTurn) return;
      }
    });
  }
}
