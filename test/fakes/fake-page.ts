import { vi } from "vitest";

type PageEvent = "pagehide" | "pageshow" | "online";
type DocumentEvent = "resume" | "visibilitychange";

/** An event target that calls capturing listeners first, as a browser does and Node does not. */
class PageTarget {
  #listeners: { type: string; listener: () => void; options: AddEventListenerOptions }[] = [];

  get listeners(): number {
    return this.#live.length;
  }

  addEventListener(type: string, listener: () => void, options: AddEventListenerOptions = {}): void {
    this.#listeners.push({ type, listener, options });
  }

  dispatch(type: string): void {
    const called = this.#live.filter((one) => one.type === type);
    const captures = ({ options }: (typeof called)[number]) => options.capture === true;
    for (const { listener } of [...called.filter(captures), ...called.filter((one) => !captures(one))]) listener();
  }

  get #live() {
    return this.#listeners.filter(({ options }) => options.signal?.aborted !== true);
  }
}

/** The page that the globals are of, until the test takes them back. */
export class FakePage {
  readonly #window = new PageTarget();
  readonly #document = Object.assign(new PageTarget(), { visibilityState: "visible" });

  constructor() {
    vi.stubGlobal("document", this.#document);
    vi.stubGlobal("addEventListener", this.#window.addEventListener.bind(this.#window));
  }

  /** The number of listeners of the window and the document. */
  get listeners(): number {
    return this.#window.listeners + this.#document.listeners;
  }

  /** Has the application listen as well. */
  on(event: PageEvent | DocumentEvent, listener: () => void): void {
    this.#targetOf(event).addEventListener(event, listener);
  }

  happens(event: PageEvent | DocumentEvent): void {
    this.#targetOf(event).dispatch(event);
  }

  hide(): void {
    this.#document.visibilityState = "hidden";
    this.happens("visibilitychange");
  }

  #targetOf(event: PageEvent | DocumentEvent): PageTarget {
    return event === "resume" || event === "visibilitychange" ? this.#document : this.#window;
  }
}
