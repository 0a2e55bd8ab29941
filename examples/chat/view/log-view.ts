import type { Transfer } from "../file/transfer.js";
import type { FileAnnouncement } from "../room/message.js";
import { setAvatar } from "./avatar.js";
import { FileCard, type FileSource } from "./file-card.js";
import { clone, find, setTime } from "./template.js";

const linkPattern = /https?:\/\/[^\s<>"]*[^\s<>".,:;!?)\]}']/g;
/** Near enough to the end to be reading it. */
const bottomSlackPx = 80;

/** A flood of messages takes the place of the oldest, and not all of the tab's memory. */
const maxEntries = 2_000;

/** The conversation, oldest first. Other people's text goes in as text. */
export class LogView {
  readonly #log: HTMLElement;
  readonly #list: HTMLElement;
  readonly #cards = new Map<string, FileCard>();
  /** Whether the end is in view, and is to stay there. */
  #following = true;

  constructor(log: HTMLElement) {
    this.#log = log;
    this.#list = find(log, "ol", HTMLElement);
    // An element that scrolls has to be within the keyboard's reach.
    log.tabIndex = 0;
    log.addEventListener("scroll", () => {
      this.#following = log.scrollHeight - log.scrollTop - log.clientHeight < bottomSlackPx;
    });
    // A picture makes its entry taller when it has loaded; an on-screen keyboard makes the log shorter.
    log.addEventListener("load", () => this.#follow(), { capture: true });
    new ResizeObserver(() => this.#follow()).observe(log);
  }

  get isEmpty(): boolean {
    return this.#list.childElementCount === 0;
  }

  /** Something that happened, to the named person if one is given. */
  notice(text: string, name = ""): void {
    const entry = clone("notice-template");
    find(entry, "bdi", HTMLElement).textContent = name;
    find(entry, ".text", HTMLElement).textContent = text;
    this.#append(entry, false);
  }

  chat(from: string, text: string, mine: boolean): void {
    const entry = this.#entry("chat-template", from, mine);
    find(entry, ".text", HTMLElement).append(...withLinks(text));
    this.#append(entry, mine);
  }

  file(file: FileAnnouncement, source: FileSource): void {
    if (this.#cards.has(file.id)) return;
    const mine = source instanceof File;
    const entry = this.#entry("file-template", file.from, mine);
    entry.dataset.file = file.id;
    this.#cards.set(file.id, new FileCard(entry, file, source));
    this.#append(entry, mine);
  }

  sending(fileId: string, transfer: Transfer): void {
    this.#cards.get(fileId)?.addSending(transfer);
    this.#follow();
  }

  /** Whether a file is on its way. */
  get isMoving(): boolean {
    return [...this.#cards.values()].some((card) => card.isMoving);
  }

  /** The room is over; received files can still be saved. */
  close(): void {
    for (const card of this.#cards.values()) card.close();
  }

  clear(): void {
    for (const card of this.#cards.values()) card.dispose();
    this.#cards.clear();
    this.#list.replaceChildren();
  }

  #entry(template: string, from: string, mine: boolean): HTMLElement {
    const entry = clone(template);
    entry.dataset.by = mine ? "self" : "other";
    setAvatar(find(entry, ".avatar", HTMLElement), from);
    find(entry, ".label", HTMLElement).textContent = mine ? "You" : from;
    return entry;
  }

  /** Shows an entry. The log goes to its end for people who wrote it themselves, wherever they were reading. */
  #append(entry: HTMLElement, mine: boolean): void {
    setTime(find(entry, "time", HTMLTimeElement), new Date());
    this.#list.append(entry);
    if (this.#list.childElementCount > maxEntries) this.#dropOldest();
    this.#following ||= mine;
    this.#follow();
  }

  #dropOldest(): void {
    const oldest = this.#list.firstElementChild;
    const id = oldest instanceof HTMLElement ? (oldest.dataset.file ?? "") : "";
    this.#cards.get(id)?.dispose();
    this.#cards.delete(id);
    oldest?.remove();
  }

  #follow(): void {
    if (this.#following) this.#log.scrollTop = this.#log.scrollHeight;
  }
}

function* withLinks(text: string): Generator<string | HTMLAnchorElement> {
  let at = 0;
  for (const match of text.matchAll(linkPattern)) {
    yield text.slice(at, match.index);
    const link = document.createElement("a");
    link.href = link.textContent = match[0];
    link.target = "_blank";
    link.rel = "noopener noreferrer";
    yield link;
    at = match.index + match[0].length;
  }
  yield text.slice(at);
}
