import { Composer } from "./composer.js";
import { EndingPanel } from "./ending-panel.js";
import { GuestRoom } from "./guest-room.js";
import { HostRoom } from "./host-room.js";
import { LogView } from "./log-view.js";
import type { FileAnnouncement } from "./message.js";
import { PeopleView } from "./people-view.js";
import type { Room, RoomObserver, RoomState } from "./room.js";
import { ShareBox } from "./share-box.js";
import { find } from "./template.js";
import type { Transfer } from "./transfer.js";

export interface RoomViewHandlers {
  /** The person has left, or wants another room. */
  onLeft(): void;
  onEnter(name: string, role: Room["role"]): void;
}

/** The page while there is a room: it shows what the room tells, and does what the person asks. */
export class RoomView {
  readonly #main = find(document, "main", HTMLElement);
  readonly #element = find(document, "#room", HTMLElement);
  readonly #status = find(document, "#status-text", HTMLElement);
  readonly #empty = find(document, "#empty", HTMLElement);
  readonly #lock = find(document, "#lock", HTMLButtonElement);
  readonly #log = new LogView(find(document, "#log", HTMLElement));
  readonly #people = new PeopleView();
  readonly #share = new ShareBox();
  readonly #ending: EndingPanel;
  readonly #composer: Composer;
  readonly #relay: URL;
  readonly #handlers: RoomViewHandlers;
  #room: Room | undefined;

  constructor(relay: URL, handlers: RoomViewHandlers) {
    this.#relay = relay;
    this.#handlers = handlers;
    this.#composer = new Composer({ onText: (text) => this.#say(text), onFile: (file) => this.#offer(file) });
    this.#ending = new EndingPanel({
      onRetry: () => this.#room && this.enter(this.#room.name, this.#room.role),
      onJoinInstead: () => this.#room && this.enter(this.#room.name, "guest"),
      onRestart: () => this.leave(),
    });
    find(document, "#leave", HTMLButtonElement).addEventListener("click", () => this.leave());
    this.#lock.addEventListener("click", () => this.#toggleLock());
    addEventListener("beforeunload", (event) => {
      if (this.#log.isMoving) event.preventDefault();
    });
  }

  /** Opens a room, or joins one. Another try at the same room keeps the log, and what can be saved from it. */
  enter(name: string, role: Room["role"]): void {
    this.#handlers.onEnter(name, role);
    const before = this.#room;
    this.#room = undefined;
    before?.leave();
    if (before?.name !== name) this.#log.clear();
    this.#element.hidden = false;
    this.#element.dataset.role = role;
    this.#ending.hide();
    this.#people.clear();
    this.#share.show(name);
    this.#lock.hidden = role !== "host";
    this.#showLock(false);
    find(document, "#leave span", HTMLElement).textContent = role === "host" ? "Close the room" : "Leave";
    find(document, "#room-name", HTMLElement).textContent = name;
    const open: { room?: Room } = {};
    open.room = new (role === "host" ? HostRoom : GuestRoom)(this.#relay, name, this.#observe(open));
    this.#room = open.room;
    this.#onState({ kind: "connecting" });
  }

  leave(): void {
    const room = this.#room;
    this.#room = undefined;
    room?.leave();
    this.#log.clear();
    this.#element.hidden = true;
    this.#handlers.onLeft();
  }

  /** A room that was left may still have something to say; nobody listens. */
  #observe(open: { room?: Room }): RoomObserver {
    const whileHere =
      <A extends unknown[]>(then: (...args: A) => void) =>
      (...args: A) => {
        if (open.room === this.#room) then(...args);
      };
    return {
      onState: whileHere((state) => this.#onState(state)),
      onPeople: whileHere((labels, self) => this.#onPeople(labels, self)),
      onChat: whileHere((from, text) => this.#log.chat(from, text, false)),
      onFile: whileHere((file: FileAnnouncement) => this.#log.file(file, () => this.#fetch(open.room, file))),
      onSending: whileHere((id, transfer) => this.#log.sending(id, transfer)),
    };
  }

  #fetch(room: Room | undefined, file: FileAnnouncement): Transfer {
    if (room === undefined) throw new Error("a file was announced before there was a room");
    return room.fetch(file);
  }

  #onState(state: RoomState): void {
    this.#main.dataset.state = state.kind === "over" ? state.ending.why : state.kind;
    const hosting = this.#room?.role === "host";
    this.#composer.hidden = state.kind === "over";
    if (state.kind === "connecting") {
      this.#showStatus(
        hosting ? "Opening the room…" : "Joining…",
        hosting ? "" : "Waiting for the host to let you in…",
      );
      this.#composer.enabled = this.#status.textContent ?? "";
    }
    if (state.kind === "over") {
      this.#people.clear();
      this.#log.close();
      this.#showStatus(this.#ending.show(state.ending, this.#room?.name ?? ""), "");
    }
  }

  #onPeople(labels: readonly string[], self: string): void {
    const room = this.#room;
    const others = labels.length - 1;
    const { came, went } = this.#people.show(
      labels,
      self,
      room instanceof HostRoom ? (l) => room.remove(l) : undefined,
    );
    for (const label of came) this.#log.notice(`${label} joined`);
    for (const label of went) this.#log.notice(`${label} left`);
    this.#main.dataset.others = String(others);
    if (room?.role === "guest") this.#showStatus(`You are in, as ${self}`, "Say hello, or drop a file anywhere.");
    else if (others === 0)
      this.#showStatus("Open, waiting for someone", "Share the link: chat and files start when someone joins.");
    else this.#showStatus(others === 1 ? "1 guest is here" : `${others} guests are here`, "");
    const alone = others === 0;
    this.#composer.enabled = alone ? "Nobody else is here yet" : true;
    const focusIsFree = document.activeElement === document.body || this.#share.hasFocus;
    if (focusIsFree && alone) this.#share.focus();
    else if (focusIsFree) this.#composer.focus();
  }

  #showStatus(status: string, hint: string): void {
    this.#status.textContent = status;
    this.#empty.textContent = hint;
  }

  #say(text: string): void {
    this.#room?.say(text);
    this.#log.chat("You", text, true);
  }

  #offer(file: File): void {
    const announced = this.#room?.offer(file);
    if (announced !== undefined) this.#log.file(announced, file);
  }

  #toggleLock(): void {
    if (!(this.#room instanceof HostRoom)) return;
    this.#room.locked = !this.#room.locked;
    this.#showLock(this.#room.locked);
  }

  #showLock(locked: boolean): void {
    this.#lock.setAttribute("aria-pressed", String(locked));
    this.#main.dataset.locked = String(locked);
  }
}
