import { hostId, type Person } from "../room/message.js";
import { setAvatar } from "./avatar.js";
import { clone, find } from "./template.js";

export interface PeopleHandlers {
  /** This tab's person wants another name. */
  onRename(name: string): void;
  /** The host sends somebody away. */
  onRemove(id: string): void;
}

/**
 * The list of people in the room. A person's own entry has a button for another name; the host's view has one to remove
 * each guest.
 */
export class PeopleView {
  readonly #list = find(document, "#people", HTMLElement);
  readonly #handlers: PeopleHandlers;
  readonly #entries = new Map<string, { element: HTMLElement; name: string }>();

  constructor(handlers: PeopleHandlers) {
    this.#handlers = handlers;
  }

  /** Returns the names of those who came and of those who went, as far as this tab was there to see it. */
  show(people: readonly Person[], selfId: string, hosting: boolean): { came: string[]; went: string[] } {
    const isFirst = this.#entries.size === 0;
    const here = new Set(people.map(({ id }) => id));
    const went = [...this.#entries].filter(([id]) => !here.has(id));
    for (const [id, { element }] of went) this.#remove(id, element);
    const came = people.filter(({ id }) => !this.#entries.has(id));
    for (const { id, name } of people) {
      const element = this.#entries.get(id)?.element ?? this.#add(id, id === selfId, hosting && id !== hostId);
      // An entry that is left as it is keeps the focus that may be in it.
      if (this.#entries.get(id)?.name !== name) setName(element, name, id === selfId);
      this.#entries.set(id, { element, name });
    }
    if (isFirst) return { came: [], went: [] };
    return { came: came.map(({ name }) => name), went: went.map(([, { name }]) => name) };
  }

  clear(): void {
    this.#entries.clear();
    this.#list.replaceChildren();
  }

  #add(id: string, isSelf: boolean, removable: boolean): HTMLElement {
    const entry = clone("person-template");
    find(entry, ".badge", HTMLElement).hidden = id !== hostId;
    const remove = find(entry, ".remove", HTMLButtonElement);
    remove.hidden = !removable;
    remove.addEventListener("click", () => this.#handlers.onRemove(id));
    find(entry, ".rename", HTMLButtonElement).hidden = !isSelf;
    if (isSelf) this.#letRename(entry);
    this.#list.append(entry);
    return entry;
  }

  /** Focus that was in the entry goes to the neighbour's button, and not to the start of the page. */
  #remove(id: string, element: HTMLElement): void {
    const neighbour = element.nextElementSibling ?? element.previousElementSibling;
    const hadFocus = element.contains(document.activeElement);
    element.remove();
    this.#entries.delete(id);
    if (hadFocus) neighbour?.querySelector<HTMLButtonElement>("button:not([hidden])")?.focus();
  }

  #letRename(entry: HTMLElement): void {
    const form = find(entry, "form", HTMLFormElement);
    const input = find(form, "input", HTMLInputElement);
    const button = find(entry, ".rename", HTMLButtonElement);
    const show = (editing: boolean) => {
      entry.toggleAttribute("data-editing", editing);
      form.hidden = !editing;
      button.setAttribute("aria-expanded", String(editing));
    };
    button.addEventListener("click", () => {
      input.value = entry.dataset.name ?? "";
      show(form.hidden !== false);
      input.focus();
      input.select();
      // On a phone people are side by side, in a strip that scrolls.
      entry.scrollIntoView({ block: "nearest", inline: "nearest" });
    });
    form.addEventListener("keydown", (event) => {
      if (event.key !== "Escape" || event.isComposing) return;
      show(false);
      button.focus();
    });
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      show(false);
      button.focus();
      if (input.value !== entry.dataset.name) this.#handlers.onRename(input.value);
    });
  }
}

function setName(entry: HTMLElement, name: string, isSelf: boolean): void {
  entry.dataset.name = name;
  setAvatar(find(entry, ".avatar", HTMLElement), name);
  const label = find(entry, ".label", HTMLElement);
  const isolated = document.createElement("bdi");
  isolated.textContent = name;
  label.replaceChildren(isolated, isSelf ? " (you)" : "");
  label.title = name;
  const remove = find(entry, ".remove", HTMLButtonElement);
  remove.setAttribute("aria-label", `Remove ${name}`);
  remove.title = `Remove ${name}`;
}
