import { setAvatar } from "./avatar.js";
import { hostLabel } from "./room.js";
import { clone, find } from "./template.js";

/** Who is in the room. The host's has a button to remove a guest. */
export class PeopleView {
  readonly #list = find(document, "#people", HTMLElement);
  #labels: readonly string[] = [];

  /** Returns who came and who went, as far as this tab was there to see it. */
  show(
    labels: readonly string[],
    self: string,
    remove: ((label: string) => void) | undefined,
  ): { came: string[]; went: string[] } {
    const before = this.#labels;
    this.#labels = [...labels];
    this.#list.replaceChildren(...labels.map((label) => person(label, self, remove)));
    if (before.length === 0) return { came: [], went: [] };
    return {
      came: labels.filter((label) => !before.includes(label)),
      went: before.filter((label) => !labels.includes(label)),
    };
  }

  clear(): void {
    this.#labels = [];
    this.#list.replaceChildren();
  }
}

function person(label: string, self: string, remove: ((label: string) => void) | undefined): HTMLElement {
  const entry = clone("person-template");
  setAvatar(find(entry, ".avatar", HTMLElement), label);
  find(entry, ".label", HTMLElement).textContent = label === self ? `${label} (you)` : label;
  const button = find(entry, ".remove", HTMLButtonElement);
  button.hidden = remove === undefined || label === hostLabel;
  button.setAttribute("aria-label", `Remove ${label}`);
  button.title = `Remove ${label}`;
  button.addEventListener("click", () => remove?.(label));
  return entry;
}
