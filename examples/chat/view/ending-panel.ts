import { describeEnding, describeWait, type Ending } from "../room/ending.js";
import type { Role } from "../room/message.js";
import { clockTime, find } from "./template.js";

export interface EndingHandlers {
  onRetry(): void;
  onJoinInstead(): void;
  onRestart(): void;
}

/** Tells a person why a room is over and how the page goes on by itself, and offers the ways on. */
export class EndingPanel {
  readonly #panel = find(document, "#ending", HTMLElement);
  readonly #title = find(this.#panel, "#ending-title", HTMLElement);
  readonly #text = find(this.#panel, "#ending-text", HTMLElement);
  readonly #wait = find(this.#panel, "#ending-wait", HTMLElement);
  readonly #joinInstead = find(this.#panel, "#join-instead", HTMLButtonElement);
  readonly #retry = find(this.#panel, "#retry", HTMLButtonElement);

  constructor(handlers: EndingHandlers) {
    this.#retry.addEventListener("click", () => handlers.onRetry());
    this.#joinInstead.addEventListener("click", () => handlers.onJoinInstead());
    find(this.#panel, "#restart", HTMLButtonElement).addEventListener("click", () => handlers.onRestart());
  }

  /** Returns the title. */
  show({ kind, ending }: { kind: "waiting" | "over"; ending: Ending }, role: Role, room: string): string {
    const wasShown = !this.#panel.hidden;
    const [title, text] = describeEnding(ending, room, clockTime(ending.at));
    this.#title.textContent = title;
    this.#text.textContent = text;
    this.#wait.hidden = kind === "over";
    find(this.#wait, "span:last-child", HTMLElement).textContent = describeWait(role, ending);
    const isTaken = ending.why === "name-taken";
    this.#joinInstead.hidden = !isTaken;
    this.#retry.classList.toggle("primary", !isTaken);
    this.#retry.classList.toggle("quiet", isTaken);
    this.#panel.hidden = false;
    // A person who was typing when the room was lost must not press a button by that.
    if (!wasShown) (ending.wasIn ? this.#panel : isTaken ? this.#joinInstead : this.#retry).focus();
    return title;
  }

  hide(): void {
    this.#panel.hidden = true;
  }
}
