import { hasFinePointer } from "./pointer.js";
import { find } from "./template.js";

export interface ComposerHandlers {
  onText(text: string): void;
  onFile(file: File): void;
  /** Something was to be sent while it cannot be. */
  onRefused(reason: string): void;
}

/** The field that a person writes in, and the ways to send files: button, drop or paste. */
export class Composer {
  readonly #form = find(document, "#composer", HTMLFormElement);
  readonly #text = find(this.#form, "#text", HTMLTextAreaElement);
  readonly #files = find(this.#form, "#files", HTMLInputElement);
  readonly #send = find(this.#form, "[type=submit]", HTMLButtonElement);
  readonly #room = find(document, "#room", HTMLElement);
  readonly #handlers: ComposerHandlers;
  #blockedBecause: string | undefined;

  constructor(handlers: ComposerHandlers) {
    this.#handlers = handlers;
    this.#form.addEventListener("submit", (event) => {
      event.preventDefault();
      this.#sendText();
    });
    this.#text.addEventListener("keydown", (event) => {
      // While an input method composes, Enter belongs to it.
      if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
      event.preventDefault();
      this.#sendText();
    });
    this.#files.addEventListener("change", () => {
      this.#offer(this.#files.files);
      this.#files.value = "";
    });
    this.#room.addEventListener("paste", (event) => {
      const files = event.clipboardData?.files;
      if (files === undefined || files.length === 0) return;
      event.preventDefault();
      this.#offer(files);
    });
    this.#takeDrops();
  }

  /** Why nothing can be sent now, if so. The text can be written all the same, and is kept. */
  set blockedBecause(reason: string | undefined) {
    this.#blockedBecause = reason;
    this.#send.disabled = this.#files.disabled = reason !== undefined;
    this.#text.placeholder = reason ?? (hasFinePointer() ? "Message, or drop a file" : "Message");
  }

  set hidden(hidden: boolean) {
    this.#form.hidden = hidden;
  }

  /** Does nothing on a phone, where it would bring up a keyboard that covers half of the page. */
  focus(): void {
    if (hasFinePointer()) this.#text.focus({ preventScroll: true });
  }

  #sendText(): void {
    const text = this.#text.value.trim();
    if (text === "") return;
    if (this.#blockedBecause !== undefined) return this.#handlers.onRefused(this.#blockedBecause);
    this.#text.value = "";
    this.#handlers.onText(text);
  }

  #offer(files: Iterable<File> | null): void {
    if (this.#form.hidden || files === null) return;
    if (this.#blockedBecause !== undefined) return this.#handlers.onRefused(this.#blockedBecause);
    for (const file of files) this.#handlers.onFile(file);
  }

  #takeDrops(): void {
    // dragenter and dragleave come for every child; the depth tells when the pointer is outside of all.
    let depth = 0;
    const mark = (change: number) => {
      depth = change === 0 ? 0 : depth + change;
      const isTaken = this.#blockedBecause === undefined && !this.#form.hidden;
      this.#room.classList.toggle("dropping", depth > 0 && isTaken);
    };
    const carriesFiles = (event: DragEvent) => event.dataTransfer?.types.includes("Files") ?? false;
    this.#room.addEventListener("dragenter", (event) => carriesFiles(event) && mark(1));
    this.#room.addEventListener("dragleave", (event) => carriesFiles(event) && mark(-1));
    // Anywhere else the browser would leave the page to show the file. Text may be dropped into a field.
    for (const type of ["dragover", "drop"] as const) {
      document.addEventListener(type, (event) => carriesFiles(event) && event.preventDefault());
    }
    this.#room.addEventListener("drop", (event) => {
      if (!carriesFiles(event)) return;
      mark(0);
      this.#offer(event.dataTransfer?.files ?? null);
    });
  }
}
