import { find } from "./template.js";

export interface ComposerHandlers {
  onText(text: string): void;
  onFile(file: File): void;
}

/** What a person writes with: text, and files by button, drop or paste. */
export class Composer {
  readonly #form = find(document, "#composer", HTMLFormElement);
  readonly #text = find(this.#form, "#text", HTMLTextAreaElement);
  readonly #files = find(this.#form, "#files", HTMLInputElement);
  readonly #room = find(document, "#room", HTMLElement);
  readonly #handlers: ComposerHandlers;
  #enabled = true;

  constructor(handlers: ComposerHandlers) {
    this.#handlers = handlers;
    this.#form.addEventListener("submit", (event) => {
      event.preventDefault();
      this.#send();
    });
    this.#text.addEventListener("keydown", (event) => {
      // While an input method composes, Enter belongs to it.
      if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
      event.preventDefault();
      this.#send();
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

  /** Disabled, it says why in place of the text. */
  set enabled(state: true | string) {
    const enabled = state === true;
    const placeholder = enabled ? "Message, or drop a file" : state;
    if (this.#enabled !== enabled) {
      this.#enabled = enabled;
      for (const control of this.#form.querySelectorAll<HTMLInputElement>("button, input, textarea")) {
        control.disabled = !enabled;
      }
    }
    this.#text.placeholder = placeholder;
  }

  set hidden(hidden: boolean) {
    this.#form.hidden = hidden;
  }

  /** Not where it would bring up a keyboard that covers half of the page. */
  focus(): void {
    if (matchMedia("(pointer: fine)").matches) this.#text.focus({ preventScroll: true });
  }

  #send(): void {
    const text = this.#text.value.trim();
    if (!this.#enabled || text === "") return;
    this.#text.value = "";
    this.#handlers.onText(text);
  }

  #offer(files: Iterable<File> | null): void {
    if (this.#enabled) for (const file of files ?? []) this.#handlers.onFile(file);
  }

  #takeDrops(): void {
    // dragenter and dragleave come for every child; the depth tells when the pointer is outside of all.
    let depth = 0;
    const mark = (change: number) => {
      depth = change === 0 ? 0 : depth + change;
      this.#room.classList.toggle("dropping", depth > 0 && this.#enabled);
    };
    const carriesFiles = (event: DragEvent) => event.dataTransfer?.types.includes("Files") ?? false;
    this.#room.addEventListener("dragenter", (event) => carriesFiles(event) && mark(1));
    this.#room.addEventListener("dragleave", (event) => carriesFiles(event) && mark(-1));
    // Anywhere else the browser would leave the page to show the file.
    document.addEventListener("dragover", (event) => event.preventDefault());
    document.addEventListener("drop", (event) => event.preventDefault());
    this.#room.addEventListener("drop", (event) => {
      mark(0);
      this.#offer(event.dataTransfer?.files ?? null);
    });
  }
}
