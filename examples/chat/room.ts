import type { StreamError } from "browser-stream-server";
import { type Ending, whyOf } from "./ending.js";
import type { FileAnnouncement } from "./message.js";
import type { Transfer } from "./transfer.js";

export type RoomState =
  | { kind: "connecting" }
  /** The host's: whoever has the link can join. */
  | { kind: "open" }
  /** A guest's. */
  | { kind: "joined" }
  | { kind: "over"; ending: Ending };

/** What happens in a room. */
export interface RoomObserver {
  onState(state: RoomState): void;
  /** Who is here, the host first. `self` is what this tab is called. */
  onPeople(labels: readonly string[], self: string): void;
  onChat(from: string, text: string): void;
  /** Somebody else announced a file. */
  onFile(file: FileAnnouncement): void;
  /** A file of this tab's is on its way to somebody. */
  onSending(fileId: string, transfer: Transfer): void;
}

/** A room as one tab sees it, whether it holds it or joined it. */
export interface Room {
  readonly role: "host" | "guest";
  readonly name: string;
  /** To everyone here. */
  say(text: string): void;
  /** Announces a file to everyone here. */
  offer(file: File): FileAnnouncement;
  /** Gets a file that was announced. */
  fetch(file: FileAnnouncement): Transfer;
  leave(): void;
}

export const hostLabel = "Host";

/** Keeps a room's state, and tells the observer; nothing happens after the end. */
export class RoomLife {
  #state: RoomState = { kind: "connecting" };
  readonly #observer: RoomObserver;

  constructor(observer: RoomObserver) {
    this.#observer = observer;
  }

  get isOver(): boolean {
    return this.#state.kind === "over";
  }

  enter(kind: "open" | "joined"): void {
    if (this.#state.kind === "connecting") this.#set({ kind });
  }

  end(error: StreamError | "left" | "gone" | "no-answer"): void {
    if (this.#state.kind === "over") return;
    const [why, reason] = typeof error === "string" ? ([error, ""] as const) : ([whyOf(error), error.message] as const);
    this.#set({ kind: "over", ending: { why, reason, wasIn: this.#state.kind !== "connecting", at: new Date() } });
  }

  #set(state: RoomState): void {
    this.#state = state;
    this.#observer.onState(state);
  }
}
