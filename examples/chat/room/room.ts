import type { StreamError } from "browser-stream-server";
import { cleanLine } from "../clean-text.js";
import type { Transfer } from "../file/transfer.js";
import { type Ending, whyOf } from "./ending.js";
import type { FileAnnouncement, Person, Role } from "./message.js";

export type RoomState =
  | { kind: "connecting" }
  /** The host's: people who have the link can join. */
  | { kind: "open" }
  /** A guest's. */
  | { kind: "joined" }
  /** A connection is lost. What is said waits, and the room goes on by itself when the connection is back. */
  | { kind: "suspended"; was: "open" | "joined" }
  | { kind: "over"; ending: Ending };

/** The events of a room that is open, or was joined. */
export interface RoomEvents {
  /** The list of people has changed. The host is first; `selfId` is this tab's. */
  onPeople(people: readonly Person[], selfId: string): void;
  onChat(from: string, text: string): void;
  /** Somebody else announced a file, which can be received for as long as the room lasts. */
  onFile(file: FileAnnouncement, receive: () => Transfer): void;
  /** A file of this tab's is on its way to somebody. */
  onSending(fileId: string, transfer: Transfer): void;
}

export interface RoomObserver extends RoomEvents {
  onState(state: RoomState): void;
}

/** A room as one tab sees it, whether it holds it or joined it. */
export interface Room {
  readonly role: Role;
  /** To everyone here. */
  say(text: string): void;
  /** Announces a file to everyone here. */
  offer(file: File): FileAnnouncement;
  /** Gives this tab's person another name. */
  rename(name: string): void;
  leave(): void;
}

/** Where a room is, and as whom to go there. */
export interface RoomInit {
  relay: URL;
  name: string;
  /** The display name of this tab's person. */
  ownName: string;
}

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

  suspend(): void {
    const { kind } = this.#state;
    if (kind === "open" || kind === "joined") this.#set({ kind: "suspended", was: kind });
  }

  resume(): void {
    if (this.#state.kind === "suspended") this.#set({ kind: this.#state.was });
  }

  end(error: StreamError | "left" | "gone" | "closed" | "no-answer"): void {
    if (this.#state.kind === "over") return;
    const why = typeof error === "string" ? error : whyOf(error);
    const reason = typeof error === "string" ? "" : cleanLine(error.message);
    this.#set({ kind: "over", ending: { why, reason, wasIn: this.#state.kind !== "connecting", at: new Date() } });
  }

  #set(state: RoomState): void {
    this.#state = state;
    this.#observer.onState(state);
  }
}
