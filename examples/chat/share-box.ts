import { roomLink } from "./address.js";
import { find } from "./template.js";

/** The link to a room, to copy or to share. */
export class ShareBox {
  readonly #link = find(document, "#link", HTMLInputElement);
  readonly #copyButton = find(document, "#copy", HTMLButtonElement);
  readonly #copied = find(document, "#copied", HTMLElement);

  constructor() {
    this.#link.addEventListener("focus", () => this.#link.select());
    this.#copyButton.addEventListener("click", () => void this.#copy());
    const share = find(document, "#web-share", HTMLButtonElement);
    share.hidden = !("share" in navigator);
    share.addEventListener("click", () => {
      // Rejects when the person changes their mind.
      navigator.share({ title: document.title, url: this.#link.value }).catch(() => {});
    });
  }

  show(room: string): void {
    this.#link.value = roomLink(room);
    this.#copied.textContent = "";
  }

  get hasFocus(): boolean {
    return document.activeElement === this.#copyButton;
  }

  focus(): void {
    this.#copyButton.focus();
  }

  async #copy(): Promise<void> {
    try {
      await navigator.clipboard.writeText(this.#link.value);
    } catch {
      // Over plain HTTP there is no clipboard but this one.
      this.#link.select();
      if (!document.execCommand("copy")) {
        this.#copied.textContent = "Copy the marked text";
        return;
      }
    }
    this.#copied.textContent = "Copied";
  }
}
