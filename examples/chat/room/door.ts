import { recall, remember } from "../memory.js";
import { randomKey } from "./message.js";

const storageKey = "door";
/** The oldest keys are forgotten first; a room has 200 guests. */
const maxKeys = 1_000;

/**
 * Decides who comes into a room. It outlives the host's connection, and a reload of the host's tab: a room that was
 * locked stays locked, and guests who were lost with the connection come back in by their keys.
 */
export class Door {
  readonly #room: string;
  readonly #keys: Set<string>;
  #locked: boolean;

  /** Takes what this tab remembers of the room. */
  constructor(room: string) {
    this.#room = room;
    const { locked, keys } = recallDoor(room);
    this.#locked = locked;
    this.#keys = new Set(keys);
  }

  get locked(): boolean {
    return this.#locked;
  }

  set locked(locked: boolean) {
    this.#locked = locked;
    this.#remember();
  }

  opensTo(key: string | undefined): boolean {
    return !this.#locked || (key !== undefined && this.#keys.has(key));
  }

  /** A key for a guest who comes in, in place of the one that it came with. */
  issueKey(former: string | undefined): string {
    const key = randomKey();
    if (former !== undefined) this.#keys.delete(former);
    this.#keys.add(key);
    for (const oldest of this.#keys) {
      if (this.#keys.size <= maxKeys) break;
      this.#keys.delete(oldest);
    }
    this.#remember();
    return key;
  }

  /** A guest who has left, or was removed, has no claim to come back. */
  forgetKey(key: string): void {
    this.#keys.delete(key);
    this.#remember();
  }

  /** The host closes the room, and forgets it. */
  forget(): void {
    remember("tab", storageKey, undefined);
  }

  #remember(): void {
    remember("tab", storageKey, JSON.stringify({ room: this.#room, locked: this.#locked, keys: [...this.#keys] }));
  }
}

function recallDoor(room: string): { locked: boolean; keys: string[] } {
  const remembered = JSON.parse(recall("tab", storageKey) ?? "{}") as {
    room?: string;
    locked: boolean;
    keys: string[];
  };
  return remembered.room === room ? remembered : { locked: false, keys: [] };
}
