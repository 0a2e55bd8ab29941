import { describeEnding, type Ending } from "./ending.js";
import { clockTime, find } from "./template.js";

export interface EndingHandlers {
  onRetry(): void;
  onJoinInstead(): void;
  onRestart(): void;
}

/** What a person reads when a room is over, and what there is to do about it. */
export class EndingPanel {
  readonly #panel = find(document, "#ending", HTMLElement);
  readonly #joinInstead = find(this.#panel, "#join-instead", HTMLButtonElement);
  readonly #retry = find(this.#panel, "#retry", HTMLButtonElement);

  constructor(handlers: EndingHandlers) {
    this.#retry.addEventListener("click", () => handlers.onRetry());
    this.#joinInstead.addEventListener("click", () => handlers.onJoinInstead());
    find(this.#panel, "#restart", HTMLButtonElement).addEventListener("click", () => handlers.onRestart());
  }

  /** Returns the title. */
  show(ending: Ending, room: string): string {
    const [title, text] = describeEnding(ending, room, clockTime(ending.at));
    find(this.#panel, "#ending-title", HTMLElement).textContent = title;
    find(this.#panel, "#ending-text", HTMLElement).textContent = text;
    this.#joinInstead.hidden = ending.why !== "name-taken";
    this.#panel.dataset.why = ending.why;
    this.#panel.hidden = false;
    this.#retry.focus();
    return title;
  }

  hide(): void {
    this.#panel.hidden = true;
  }
}
