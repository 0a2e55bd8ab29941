import { vi } from "vitest";

type PageEvent = "pagehide" | "pageshow" | "online";
type DocumentEvent = "resume" | "visibilitychange";

class CountingTarget extends EventTarget {
  readonly #signals: (AbortSignal | undefined)[] = [];

  get listeners(): number {
    return this.#signals.filter((signal) => signal?.aborted !== true).length;
  }

  override addEventListener(...[type, listener, options]: Parameters<EventTarget["addEventListener"]>): void {
    super.addEventListener(type, listener, options);
    this.#signals.push(typeof options === "object" ? options.signal : undefined);
  }
}

/** The page that the globals are of, until the test takes them back. */
export class FakePage {
  readonly #window = new CountingTarget();
  readonly #document = Object.assign(new CountingTarget(), { visibilityState: "visible" });

  constructor() {
    vi.stubGlobal("document", this.#document);
    vi.stubGlobal("addEventListener", this.#window.addEventListener.bind(this.#window));
  }

  /** How many listeners it has. */
  get listeners(): number {
    return this.#window.listeners + this.#document.listeners;
  }

  happens(event: PageEvent | DocumentEvent): void {
    const target = event === "resume" || event === "visibilitychange" ? this.#document : this.#window;
    target.dispatchEvent(new Event(event));
  }

  hide(): void {
    this.#document.visibilityState = "hidden";
    this.happens("visibilitychange");
  }
}
