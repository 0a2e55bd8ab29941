import { suggestName } from "./room-name.js";
import { find } from "./template.js";

/** The page while there is no room: a name, and whether to open it or to join it. */
export class StartView {
  readonly #element = find(document, "#start", HTMLElement);
  readonly #name = find(this.#element, "#name", HTMLInputElement);

  constructor(onChosen: (name: string, role: "host" | "guest") => void) {
    find(this.#element, "#another", HTMLButtonElement).addEventListener("click", () => this.#suggest());
    find(this.#element, "#start-form", HTMLFormElement).addEventListener("submit", (event) => {
      event.preventDefault();
      const name = this.#name.value.trim();
      const join = event.submitter instanceof HTMLButtonElement && event.submitter.value === "join";
      if (name !== "") onChosen(name, join ? "guest" : "host");
    });
  }

  show(): void {
    this.#element.hidden = false;
    this.#suggest();
  }

  hide(): void {
    this.#element.hidden = true;
  }

  #suggest(): void {
    this.#name.value = suggestName();
    this.#name.focus();
    this.#name.select();
  }
}
