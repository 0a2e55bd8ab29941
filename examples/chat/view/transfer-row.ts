import { formatProgress } from "../file/amount.js";
import type { Transfer, TransferState } from "../file/transfer.js";
import { clone, find } from "./template.js";

const minPaintIntervalMs = 80;

/** A transfer on the page: how far it is, and a button to cancel it. */
export class TransferRow {
  readonly element = clone("transfer-template");
  readonly #transfer: Transfer;
  readonly #bar = find(this.element, "progress", HTMLProgressElement);
  readonly #amount = find(this.element, ".amount", HTMLElement);
  readonly #cancel = find(this.element, ".cancel", HTMLButtonElement);
  readonly #onState: (state: TransferState) => void;
  #nextPaint: ReturnType<typeof setTimeout> | undefined;
  #painted: { kind: TransferState["kind"] | undefined; atMs: number } = { kind: undefined, atMs: 0 };

  /** `peer` is the name of the person that the file goes to, and empty for a file that this tab receives. */
  constructor(transfer: Transfer, fileName: string, peer: string, onState: (state: TransferState) => void) {
    this.#transfer = transfer;
    this.#onState = onState;
    const what = peer === "" ? fileName : `${fileName} to ${peer}`;
    find(this.element, ".peer", HTMLElement).hidden = peer === "";
    find(this.element, ".peer bdi", HTMLElement).textContent = peer;
    this.#bar.setAttribute("aria-label", `Progress of ${what}`);
    this.#cancel.setAttribute("aria-label", `Cancel ${what}`);
    this.#cancel.title = "Cancel";
    this.#cancel.addEventListener("click", () => transfer.cancel());
    transfer.onChange = () => this.#onChange();
    this.#onChange();
  }

  #onChange(): void {
    const { state } = this.#transfer;
    if (state.kind !== this.#painted.kind) {
      this.#onState(state);
      return this.#paint();
    }
    // The last change before a transfer stands still is painted too.
    const waitMs = this.#painted.atMs + minPaintIntervalMs - performance.now();
    if (waitMs <= 0) this.#paint();
    else this.#nextPaint ??= setTimeout(() => this.#paint(), waitMs);
  }

  #paint(): void {
    clearTimeout(this.#nextPaint);
    this.#nextPaint = undefined;
    const { state, transferredBytes, sizeBytes, bytesPerSecond } = this.#transfer;
    this.#painted = { kind: state.kind, atMs: performance.now() };
    this.element.dataset.state = state.kind;
    this.#bar.value = sizeBytes === 0 ? Number(state.kind === "done") : transferredBytes / sizeBytes;
    this.#bar.hidden = this.#cancel.hidden = this.#transfer.isOver;
    this.#amount.textContent = describe(state, () => formatProgress(transferredBytes, sizeBytes, bytesPerSecond));
  }
}

function describe(state: TransferState, progress: () => string): string {
  switch (state.kind) {
    case "waiting":
      return "waiting…";
    case "running":
      return progress();
    case "done":
      return state.file === undefined ? "delivered" : "received";
    case "cancelled":
      return state.by === "this side" ? "cancelled" : "cancelled by the other side";
    case "failed":
      return state.reason;
  }
}
