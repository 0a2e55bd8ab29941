import { cleanLine } from "../clean-text.js";
import { HostRoom } from "../room/host-room.js";
import type { Person, Role } from "../room/message.js";
import { chooseOwnName, ownName } from "../room/own-name.js";
import { RoomVisit, type VisitState } from "../room/room-visit.js";
import { Composer } from "./composer.js";
import { EndingPanel } from "./ending-panel.js";
import { LogView } from "./log-view.js";
import { PeopleView } from "./people-view.js";
import { hasFinePointer } from "./pointer.js";
import { ShareBox } from "./share-box.js";
import { find } from "./template.js";

export interface RoomViewHandlers {
  /** The person has left, or wants another room. */
  onLeft(): void;
  onEnter(name: string, role: Role): void;
}

/** More people than these who come or go at once are counted, and not named. */
const maxNotices = 3;

/** The page while there is a room: it shows the room to the person, and carries out the person's wishes there. */
export class RoomView {
  readonly #main = find(document, "main", HTMLElement);
  readonly #element = find(document, "#room", HTMLElement);
  readonly #status = find(document, "#status-text", HTMLElement);
  readonly #empty = find(document, "#empty", HTMLElement);
  readonly #lock = find(document, "#lock", HTMLButtonElement);
  readonly #lockedMark = find(document, "#locked-mark", HTMLElement);
  readonly #leave = find(document, "#leave", HTMLButtonElement);
  readonly #log = new LogView(find(document, "#log", HTMLElement));
  readonly #people: PeopleView;
  readonly #share = new ShareBox();
  readonly #ending: EndingPanel;
  readonly #composer: Composer;
  readonly #relay: URL;
  readonly #handlers: RoomViewHandlers;
  #visit: RoomVisit | undefined;
  #state: VisitState["kind"] = "connecting";
  /** The status to go back to when the connection is back. */
  #statusBefore = "";
  /** Undefined while it is not known who is here. */
  #isAlone: boolean | undefined;

  constructor(relay: URL, handlers: RoomViewHandlers) {
    this.#relay = relay;
    this.#handlers = handlers;
    this.#people = new PeopleView({
      onRename: (name) => this.#visit?.room?.rename(chooseOwnName(name)),
      onRemove: (id) => this.#hosted?.remove(id),
    });
    this.#composer = new Composer({
      onText: (text) => this.#say(text),
      onFile: (file) => this.#offer(file),
      onRefused: (reason) => this.#log.notice(reason),
    });
    this.#ending = new EndingPanel({
      onRetry: () => this.#visit?.enter(),
      onJoinInstead: () => this.#visit && this.enter(this.#visit.name, "guest"),
      onRestart: () => this.leave(),
    });
    this.#leave.addEventListener("click", () => this.leave());
    this.#lock.addEventListener("click", () => this.#toggleLock());
    addEventListener("beforeunload", (event) => {
      if (this.#log.isMoving) event.preventDefault();
    });
  }

  /**
   * Opens a room, or joins one. Another role in the same room keeps the log, and the files that can be saved from it.
   */
  enter(name: string, role: Role): void {
    this.#handlers.onEnter(name, role);
    const before = this.#visit;
    before?.leave();
    if (before?.name !== name) this.#log.clear();
    this.#element.hidden = false;
    this.#element.dataset.role = role;
    this.#share.show(name);
    find(document, "#room-name", HTMLElement).textContent = cleanLine(name);
    const visit = new RoomVisit(
      { relay: this.#relay, name, role, ownName },
      {
        onState: (state) => this.#onState(state),
        onPeople: (people, selfId) => this.#onPeople(people, selfId),
        onChat: (from, text) => this.#log.chat(from, text, false),
        onFile: (file, receive) => this.#log.file(file, receive),
        onSending: (fileId, transfer) => this.#log.sending(fileId, transfer),
      },
    );
    this.#visit = visit;
    visit.enter();
  }

  leave(): void {
    this.#visit?.leave();
    this.#visit = undefined;
    this.#log.clear();
    this.#element.hidden = true;
    this.#handlers.onLeft();
  }

  /** The room, if it is this tab's own and open. */
  get #hosted(): HostRoom | undefined {
    const room = this.#visit?.room;
    return room instanceof HostRoom ? room : undefined;
  }

  #onState(state: VisitState): void {
    const before = this.#state;
    this.#state = state.kind;
    if ((state.kind === "suspended" || before === "suspended") && this.#onSuspension(state.kind)) return;
    const isIn = state.kind === "open" || state.kind === "joined";
    const isEnded = state.kind === "waiting" || state.kind === "over";
    this.#main.dataset.state = isEnded ? state.ending.why : state.kind;
    this.#composer.hidden = isEnded;
    this.#lock.hidden = state.kind !== "open";
    this.#leave.hidden = isEnded;
    find(this.#leave, "span", HTMLElement).textContent =
      state.kind === "open" ? "Close the room" : state.kind === "joined" ? "Leave" : "Cancel";
    if (!isIn) {
      this.#people.clear();
      this.#isAlone = undefined;
    }
    if (!isEnded) this.#ending.hide();
    this.#showLock(this.#hosted?.door.locked ?? false);
    if (isIn) this.#composer.blockedBecause = undefined;
    if (state.kind === "connecting") {
      const hosting = this.#visit?.role !== "guest";
      this.#showStatus(
        hosting ? "Opening the room…" : "Joining…",
        hosting ? "" : "Waiting for the host to let you in…",
      );
      this.#composer.blockedBecause = this.#status.textContent ?? "";
    }
    if (isIn && before === "waiting") {
      this.#log.notice(state.kind === "open" ? "The room is open again" : "You are in again");
    }
    if (isEnded && this.#visit !== undefined) {
      this.#log.close();
      this.#showStatus(this.#ending.show(state, this.#visit.role, cleanLine(this.#visit.name)), "");
    }
  }

  /** Shows that the connection is lost, or back. Returns whether the room is as it was otherwise. */
  #onSuspension(kind: VisitState["kind"]): boolean {
    const hint = this.#empty.textContent ?? "";
    if (kind === "suspended") {
      this.#statusBefore = this.#status.textContent ?? "";
      this.#showStatus("The connection is lost, and comes back by itself", hint);
    } else if (kind === "open" || kind === "joined") this.#showStatus(this.#statusBefore, hint);
    else return false;
    this.#main.dataset.state = kind;
    return true;
  }

  #onPeople(people: readonly Person[], selfId: string): void {
    const hosting = this.#hosted !== undefined;
    const others = people.length - 1;
    const alone = others === 0;
    const { came, went } = this.#people.show(people, selfId, hosting);
    this.#noticeAll(came, "joined");
    this.#noticeAll(went, "left");
    const isTurn = this.#isAlone !== alone;
    this.#isAlone = alone;
    this.#main.dataset.others = String(others);
    this.#share.hasCompany = !alone || !this.#log.isEmpty;
    if (!hosting) {
      const self = people.find(({ id }) => id === selfId)?.name ?? ownName();
      const hint = hasFinePointer() ? "Say hello, or drop a file anywhere." : "Say hello, or send a file.";
      this.#showStatus(`You are in, as ${self}`, hint);
    } else if (alone) {
      this.#showStatus("Open, waiting for someone", "Share the link: chat and files start when someone joins.");
    } else this.#showStatus(others === 1 ? "1 guest is here" : `${others} guests are here`, "");
    this.#composer.blockedBecause = alone ? "Nobody else is here yet" : undefined;
    // Focus goes to the next task when there is another one, and stays with a person who is about something else.
    if (!isTurn || !(document.activeElement === document.body || this.#share.hasFocus)) return;
    if (alone) this.#share.focus();
    else this.#composer.focus();
  }

  /** A crowd is told in one notice. */
  #noticeAll(names: readonly string[], did: string): void {
    if (names.length > maxNotices) this.#log.notice(`${names.length} people ${did}`);
    else for (const name of names) this.#log.notice(did, name);
  }

  #showStatus(status: string, hint: string): void {
    // A live region is read out again when its text is set, even to the same text.
    if (this.#status.textContent !== status) this.#status.textContent = status;
    this.#empty.textContent = hint;
  }

  #say(text: string): void {
    this.#visit?.room?.say(text);
    this.#log.chat("You", text, true);
  }

  #offer(file: File): void {
    const announced = this.#visit?.room?.offer(file);
    if (announced !== undefined) this.#log.file(announced, file);
  }

  #toggleLock(): void {
    const room = this.#hosted;
    if (room === undefined) return;
    room.door.locked = !room.door.locked;
    this.#showLock(room.door.locked);
  }

  #showLock(locked: boolean): void {
    this.#lock.setAttribute("aria-pressed", String(locked));
    this.#lockedMark.hidden = !locked;
    this.#share.locked = locked;
  }
}
