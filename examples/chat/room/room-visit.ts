import { Backoff } from "./backoff.js";
import { Door } from "./door.js";
import { type Ending, isPassing, stillLost } from "./ending.js";
import { GuestRoom } from "./guest-room.js";
import { HostRoom } from "./host-room.js";
import type { Role } from "./message.js";
import type { Room, RoomEvents, RoomInit, RoomState } from "./room.js";

export type VisitState =
  | RoomState
  /** The room is lost, or not there yet, and the next try to open or to join it is set or under way. */
  | { kind: "waiting"; ending: Ending };

export interface VisitObserver extends RoomEvents {
  onState(state: VisitState): void;
}

export interface VisitInit extends Omit<RoomInit, "ownName"> {
  role: Role;
  /** The display name of this tab's person, asked for again at each try. */
  ownName: () => string;
}

/** A stay in one room, over as many tries to open or to join it as it takes. */
export class RoomVisit {
  readonly name: string;
  readonly role: Role;
  readonly #init: VisitInit;
  readonly #observer: VisitObserver;
  /** The host's, which lasts over all tries. */
  readonly #door: Door | undefined;
  readonly #backoff = new Backoff(() => this.#try());
  #state: VisitState = { kind: "connecting" };
  /** The ending that this visit waits to overcome. */
  #lost: Ending | undefined;
  #room: Room | undefined;

  constructor(init: VisitInit, observer: VisitObserver) {
    this.name = init.name;
    this.role = init.role;
    this.#init = init;
    this.#observer = observer;
    this.#door = init.role === "host" ? new Door(init.name) : undefined;
  }

  /** The room, while it is open or joined, with a connection or waiting for it. */
  get room(): Room | undefined {
    const { kind } = this.#state;
    return kind === "open" || kind === "joined" || kind === "suspended" ? this.#room : undefined;
  }

  /** Tries now, because the person asked for it. */
  enter(): void {
    this.#backoff.reset();
    this.#set({ kind: "connecting" });
    this.#try();
  }

  /** Ends the visit without another word to the observer. */
  leave(): void {
    this.#backoff.stop();
    this.#drop();
    this.#door?.forget();
  }

  #drop(): void {
    const room = this.#room;
    this.#room = undefined;
    room?.leave();
  }

  #try(): void {
    this.#drop();
    const ownName = this.#init.ownName();
    // A room that was dropped may still have something to say; nobody listens.
    const current: { room?: Room } = {};
    const whileCurrent =
      <A extends unknown[]>(then: (...args: A) => void) =>
      (...args: A) => {
        if (current.room === this.#room) then(...args);
      };
    const init = { ...this.#init, ownName };
    const observer = {
      onState: whileCurrent((state: RoomState) => this.#onState(state)),
      onPeople: whileCurrent<Parameters<RoomEvents["onPeople"]>>((...args) => this.#observer.onPeople(...args)),
      onChat: whileCurrent<Parameters<RoomEvents["onChat"]>>((...args) => this.#observer.onChat(...args)),
      onFile: whileCurrent<Parameters<RoomEvents["onFile"]>>((...args) => this.#observer.onFile(...args)),
      onSending: whileCurrent<Parameters<RoomEvents["onSending"]>>((...args) => this.#observer.onSending(...args)),
    };
    current.room = this.#door === undefined ? new GuestRoom(init, observer) : new HostRoom(init, this.#door, observer);
    this.#room = current.room;
  }

  #onState(state: RoomState): void {
    if (state.kind === "over") return this.#onOver(state.ending);
    this.#backoff.reset();
    this.#lost = undefined;
    this.#set(state);
  }

  #onOver(ending: Ending): void {
    this.#room = undefined;
    const shown = stillLost(ending, this.role, this.#lost);
    if (isPassing(ending) && this.#backoff.next()) {
      this.#lost = shown;
      this.#set({ kind: "waiting", ending: shown });
    } else {
      this.#lost = undefined;
      this.#set({ kind: "over", ending });
    }
  }

  #set(state: VisitState): void {
    this.#state = state;
    this.#observer.onState(state);
  }
}
