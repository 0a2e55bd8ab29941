import { roomLink } from "../address.js";
import { drawQrCode } from "./qr-code.js";
import { find } from "./template.js";

/** The link to a room, to copy, to share, or to scan. On a phone it folds away as soon as there is company. */
export class ShareBox {
  readonly #box = find(document, "#share", HTMLElement);
  readonly #label = find(this.#box, "label", HTMLElement);
  readonly #link = find(this.#box, "#link", HTMLInputElement);
  readonly #copyButton = find(this.#box, "#copy", HTMLButtonElement);
  readonly #qrButton = find(this.#box, "#qr-toggle", HTMLButtonElement);
  readonly #qr = find(this.#box, "#qr", SVGSVGElement);
  readonly #copied = find(this.#box, "#copied", HTMLElement);
  readonly #foldButton = find(document, "#invite", HTMLButtonElement);
  readonly #linkTitle = this.#label.textContent ?? "";
  #hasCompany = false;

  constructor() {
    this.#link.addEventListener("focus", () => this.#link.select());
    this.#copyButton.addEventListener("click", () => void this.#copy());
    this.#qrButton.addEventListener("click", () => this.#showQr(this.#qrButton.ariaExpanded !== "true"));
    this.#foldButton.addEventListener("click", () => this.#fold(this.#foldButton.ariaExpanded === "true"));
    const share = find(this.#box, "#web-share", HTMLButtonElement);
    share.hidden = !("share" in navigator);
    share.addEventListener("click", () => {
      // It rejects when the person changes their mind.
      navigator.share({ title: document.title, url: this.#link.value }).catch(() => {});
    });
  }

  show(room: string): void {
    this.#link.value = roomLink(room);
    this.#copied.textContent = "";
    this.#qrButton.hidden = !drawQrCode(this.#qr, this.#link.value);
    this.#hasCompany = true;
    this.#fold(true);
    this.#showQr(false);
    this.locked = false;
    find(this.#box, "#local", HTMLElement).hidden = !/(^|\.)localhost$|^127\.|^\[::1\]$/.test(location.hostname);
  }

  /** Alone in a room there is nothing to do but to invite, so all of it is shown. */
  set hasCompany(hasCompany: boolean) {
    if (hasCompany === this.#hasCompany) return;
    this.#hasCompany = hasCompany;
    this.#fold(hasCompany);
    this.#showQr(!hasCompany);
  }

  set locked(locked: boolean) {
    this.#label.textContent = locked ? "The room is locked: nobody else can join" : this.#linkTitle;
  }

  get hasFocus(): boolean {
    return document.activeElement === this.#copyButton;
  }

  focus(): void {
    this.#copyButton.focus({ preventScroll: true });
  }

  #fold(folded: boolean): void {
    this.#box.toggleAttribute("data-folded", folded);
    this.#foldButton.ariaExpanded = String(!folded);
  }

  #showQr(shown: boolean): void {
    // SVG elements have no `hidden` of their own.
    this.#qr.toggleAttribute("hidden", !shown || this.#qrButton.hidden !== false);
    this.#qrButton.ariaExpanded = String(shown);
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
