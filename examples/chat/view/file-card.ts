import { formatBytes } from "../file/amount.js";
import { pictureTypes } from "../file/file-stream.js";
import type { Transfer } from "../file/transfer.js";
import type { FileAnnouncement } from "../room/message.js";
import { find } from "./template.js";
import { TransferRow } from "./transfer-row.js";

/** Files up to this size are fetched when they are announced; larger ones when the person asks. */
const automaticBytes = 67_108_864;
const maxPictureBytes = 16_777_216;

/** This tab's own file, or the way to get another's. */
export type FileSource = File | (() => Transfer);

/** A file in the log: one of this tab's, with a row for each receiver, or one to receive and save. */
export class FileCard {
  readonly #transfers = new Set<Transfer>();
  readonly #body: HTMLElement;
  readonly #rows: HTMLElement;
  readonly #name: string;
  #url: string | undefined;

  constructor(element: HTMLElement, file: FileAnnouncement, source: FileSource) {
    this.#body = find(element, ".file", HTMLElement);
    this.#rows = find(element, ".transfers", HTMLElement);
    this.#name = file.name;
    find(element, ".file-name", HTMLElement).textContent = this.#name;
    find(element, ".file-size", HTMLElement).textContent = formatBytes(file.sizeBytes);
    this.#body.dataset.state = source instanceof File ? "sending" : "offered";
    if (source instanceof File) {
      this.#showPicture(source);
      return;
    }
    const receive = find(element, ".receive", HTMLButtonElement);
    receive.setAttribute("aria-label", `Receive ${this.#name}`);
    receive.addEventListener("click", () => this.#receive(source()));
    if (file.sizeBytes <= automaticBytes) this.#receive(source());
  }

  /** Shows this tab's file on its way to somebody. */
  addSending(transfer: Transfer): void {
    this.#transfers.add(transfer);
    this.#rows.append(new TransferRow(transfer, this.#name, transfer.peer, () => this.#keepFocus()).element);
  }

  /** The room is over: nothing more can be asked for. */
  close(): void {
    this.#body.dataset.closed = "";
  }

  /** Ends the transfers under way, and lets go of received files. */
  dispose(): void {
    for (const transfer of this.#transfers) transfer.cancel();
    if (this.#url !== undefined) URL.revokeObjectURL(this.#url);
  }

  get isMoving(): boolean {
    return [...this.#transfers].some((transfer) => !transfer.isOver);
  }

  #receive(transfer: Transfer): void {
    this.#transfers.add(transfer);
    const row = new TransferRow(transfer, this.#name, "", (state) => {
      this.#keepFocus();
      this.#body.dataset.state = state.kind;
      if (state.kind === "done" && state.file !== undefined) this.#offerToSave(state.file);
    });
    this.#rows.replaceChildren(row.element);
  }

  /** Focus goes on to the control that takes the place of the one in use, or else to the log. */
  #keepFocus(): void {
    if (!this.#body.contains(document.activeElement)) return;
    queueMicrotask(() => {
      const { activeElement } = document;
      if (activeElement !== document.body && activeElement?.checkVisibility()) return;
      const controls = [...this.#body.querySelectorAll<HTMLElement>("button, a")];
      (controls.find((each) => each.checkVisibility()) ?? this.#body.closest<HTMLElement>("[tabindex]"))?.focus();
    });
  }

  #offerToSave(received: Blob): void {
    this.#showPicture(received);
    this.#url ??= URL.createObjectURL(received);
    const save = find(this.#body, ".save", HTMLAnchorElement);
    save.href = this.#url;
    save.download = this.#name;
    save.setAttribute("aria-label", `Save ${this.#name}`);
  }

  #showPicture(file: Blob): void {
    if (!pictureTypes.includes(file.type) || file.size > maxPictureBytes) return;
    this.#url = URL.createObjectURL(file);
    const picture = new Image();
    picture.className = "picture";
    picture.alt = this.#name;
    picture.addEventListener("load", () => this.#body.prepend(picture), { once: true });
    picture.src = this.#url;
  }
}
