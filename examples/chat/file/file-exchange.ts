import { Code, Failure, StreamError } from "browser-stream-server";
import type { Guest } from "../room/guest.js";
import { type FileAnnouncement, type RoomStream, randomKey } from "../room/message.js";
import { receiveFile, sendFile } from "./file-stream.js";
import { Transfer } from "./transfer.js";

const maxFilesPerGuest = 1_000;

/** Somebody wants a guest's file; the guest was asked to open a stream with it. */
interface Request {
  owner: Guest;
  take(stream: RoomStream): void;
  fail(): void;
}

/** The host's part in files: it gives its own, takes those of guests, and passes a guest's file on to another guest. */
export class FileExchange {
  readonly #onSending: (fileId: string, transfer: Transfer) => void;
  readonly #ownFiles = new Map<string, File>();
  readonly #owners = new Map<string, Guest>();
  readonly #requests = new Map<string, Request>();

  constructor(onSending: (fileId: string, transfer: Transfer) => void) {
    this.#onSending = onSending;
  }

  offerOwn(id: string, file: File): void {
    this.#ownFiles.set(id, file);
  }

  /**
   * Notes that a guest has a file. Returns false if the guest has announced too many, or a file that somebody else has.
   */
  offer(id: string, owner: Guest): boolean {
    if (owner.announcedFiles >= maxFilesPerGuest || this.#owners.has(id)) return false;
    owner.announcedFiles += 1;
    this.#owners.set(id, owner);
    return true;
  }

  /** A guest is gone, and its files with it. */
  forget(guest: Guest): void {
    for (const [id, owner] of this.#owners) if (owner === guest) this.#owners.delete(id);
    for (const [id, request] of this.#requests) {
      if (request.owner !== guest) continue;
      this.#requests.delete(id);
      request.fail();
    }
  }

  /** Gets a guest's file for the host, which is called `to`. */
  receive(file: FileAnnouncement, to: string): Transfer {
    const transfer = new Transfer(file.from, file.sizeBytes);
    this.#ask(file.id, to, {
      take: (stream) => void receiveFile(transfer, file, stream),
      fail: () => transfer.fail(noSuchFileError()),
    });
    return transfer;
  }

  /** Serves a guest's "fetch" stream, which is accepted when the result is there. */
  onFetch(guest: Guest, fileId: string, stream: RoomStream): void | Promise<void> {
    const file = this.#ownFiles.get(fileId);
    if (file !== undefined) {
      const transfer = new Transfer(guest.name, file.size);
      this.#onSending(fileId, transfer);
      return void sendFile(transfer, file, stream);
    }
    return new Promise((decided) => {
      const forget = this.#ask(fileId, guest.name, {
        take: (source) => {
          decided();
          source.end();
          // Either's failure ends the other, and each has its own way to tell.
          source.readable.pipeTo(stream.writable).catch(() => {});
        },
        fail: () => {
          stream.reject(Code.NotFound, noSuchFileError().message);
          decided();
        },
      });
      const onClosed = () => {
        forget();
        decided();
      };
      stream.closed.then(onClosed, onClosed);
    });
  }

  /** Serves a guest's "give" stream. */
  onGive(guest: Guest, transferId: string, stream: RoomStream): void {
    const request = this.#requests.get(transferId);
    if (request?.owner !== guest) return stream.reject(Code.Canceled, "nobody wants it any more");
    this.#requests.delete(transferId);
    request.take(stream);
  }

  /** Asks a file's owner to give it. Returns a function that forgets the request. */
  #ask(fileId: string, to: string, request: Omit<Request, "owner">): () => void {
    const owner = this.#owners.get(fileId);
    const id = randomKey();
    if (owner === undefined) queueMicrotask(() => request.fail());
    else {
      this.#requests.set(id, { ...request, owner });
      owner.tell({ type: "want", file: fileId, transfer: id, to });
    }
    return () => this.#requests.delete(id);
  }
}

function noSuchFileError(): StreamError {
  return new StreamError("the file is not offered any more", { failure: Failure.DECLINED, code: Code.NotFound });
}
