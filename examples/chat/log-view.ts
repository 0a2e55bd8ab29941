import { setAvatar } from "./avatar.js";
import { FileCard, type FileSource } from "./file-card.js";
import type { FileAnnouncement } from "./message.js";
import { clone, find, setTime } from "./template.js";
import type { Transfer } from "./transfer.js";

const linkPattern = /https?:\/\/[^\s<>"]*[^\s<>".,:;!?)\]}']/g;
/** Near enough to the end to be reading it. */
const bottomSlackPx = 80;

/** The conversation, oldest first. What others wrote goes in as text. */
export class LogView {
  readonly #list: HTMLElement;
  readonly #cards = new Map<string, FileCard>();
  /** Whether the end is in view, and is to stay there. */
  #following = true;

  constructor(list: HTMLElement) {
    this.#list = list;
    // What scrolls has to be within the keyboard's reach.
    list.tabIndex = 0;
    list.addEventListener("scroll", () => {
      this.#following = list.scrollHeight - list.scrollTop - list.clientHeight < bottomSlackPx;
    });
    // A picture makes its entry taller when it has loaded; an on-screen keyboard makes the list shorter.
    list.addEventListener("load", () => this.#follow(), { capture: true });
    new ResizeObserver(() => this.#follow()).observe(list);
  }

  notice(text: string): void {
    const entry = clone("notice-template");
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

  /** The room is over; what was received can still be saved. */
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

  /** What this tab's person wrote they want to see. */
  #append(entry: HTMLElement, mine: boolean): void {
    setTime(find(entry, "time", HTMLTimeElement), new Date());
    this.#list.append(entry);
    this.#following ||= mine;
    this.#follow();
  }

  #follow(): void {
    if (this.#following) this.#list.scrollTop = this.#list.scrollHeight;
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
