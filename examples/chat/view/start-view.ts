import { readRoom, rememberHosting } from "../address.js";
import type { Role } from "../room/message.js";
import { chooseOwnName, ownName } from "../room/own-name.js";
import { suggestRoomName } from "../room/room-name.js";
import { hasFinePointer } from "./pointer.js";
import { find } from "./template.js";

/** The page while there is no room: a room to open, or the link or the name of one to join. */
export class StartView {
  readonly #element = find(document, "#start", HTMLElement);
  readonly #ownName = find(this.#element, "#own-name", HTMLInputElement);
  readonly #name = find(this.#element, "#name", HTMLInputElement);
  readonly #place = find(this.#element, "#place", HTMLInputElement);
  readonly #onChosen: (name: string, role: Role) => void;

  constructor(onChosen: (name: string, role: Role) => void) {
    this.#onChosen = onChosen;
    find(this.#element, "#another", HTMLButtonElement).addEventListener("click", () => this.#suggest());
    this.#take(find(this.#element, "#start-form", HTMLFormElement), this.#name, "host");
    this.#take(find(this.#element, "#join-form", HTMLFormElement), this.#place, "guest");
  }

  show(): void {
    this.#element.hidden = false;
    this.#ownName.value = ownName();
    this.#place.value = "";
    this.#suggest();
  }

  hide(): void {
    this.#element.hidden = true;
  }

  #take(form: HTMLFormElement, input: HTMLInputElement, role: Role): void {
    input.addEventListener("input", () => input.setCustomValidity(""));
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      const room = readRoom(input.value);
      if (room.kind === "none") {
        input.setCustomValidity("This leads to no room.");
        input.reportValidity();
        return;
      }
      chooseOwnName(this.#ownName.value);
      if (room.kind === "here") return this.#onChosen(room.name, role);
      // The page over there reads this where it is of this origin, and opens the room; any other page joins it.
      if (role === "host") rememberHosting(room.name);
      location.assign(room.link);
    });
  }

  #suggest(): void {
    this.#name.value = suggestRoomName();
    this.#name.setCustomValidity("");
    if (!hasFinePointer()) return;
    this.#name.focus();
    this.#name.select();
  }
}
