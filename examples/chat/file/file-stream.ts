import { Code, StreamError } from "browser-stream-server";
import type { FileAnnouncement, RoomStream } from "../room/message.js";
import type { Transfer } from "./transfer.js";

/** A file is read in slices of this size; with the stream's own buffer, no more of it is ever in memory. */
const sliceBytes = 262_144;
/** Bytes of received chunks that are put into one Blob, which the browser may keep on disk. */
const partBytes = 4_194_304;

/** Browsers show these as pictures and nothing else. */
export const pictureTypes: readonly string[] = ["image/png", "image/jpeg", "image/gif", "image/webp", "image/avif"];

/** Writes a file to a stream, at the pace of its reader. Never rejects: the transfer tells. */
export async function sendFile(transfer: Transfer, file: File, stream: RoomStream): Promise<void> {
  if (!transfer.start(stream)) return;
  // At once, and not when the next slice has been read.
  stream.closed.catch((error: unknown) => transfer.fail(error));
  try {
    const writer = stream.writable.getWriter();
    for (let at = 0; at < file.size; at += sliceBytes) {
      const slice = await readSlice(file, at);
      await writer.write(slice);
      transfer.moved(Math.max(at + slice.byteLength - stream.bufferedBytes, 0));
    }
    await writer.close();
    transfer.finish();
  } catch (error) {
    transfer.fail(error);
    stream.destroy(error);
  }
}

async function readSlice(file: File, at: number): Promise<ArrayBuffer> {
  try {
    return await file.slice(at, at + sliceBytes).arrayBuffer();
  } catch (cause) {
    throw new StreamError("the file cannot be read any more", { code: Code.DataLoss, cause });
  }
}

/** Collects a file from a stream. Never rejects: the transfer tells. */
export async function receiveFile(transfer: Transfer, file: FileAnnouncement, stream: RoomStream): Promise<void> {
  if (!transfer.start(stream)) return;
  // The reader below hears of it too.
  stream.on("error", () => {});
  let whole = new Blob();
  let part: Uint8Array<ArrayBuffer>[] = [];
  let receivedBytes = 0;
  let inPartBytes = 0;
  const fold = () => {
    whole = new Blob([whole, ...part]);
    part = [];
    inPartBytes = 0;
  };
  try {
    stream.end();
    for await (const chunk of stream) {
      if (typeof chunk === "string") throw brokenError("text within a file");
      receivedBytes += chunk.byteLength;
      inPartBytes += chunk.byteLength;
      if (receivedBytes > file.sizeBytes) throw brokenError("more than was announced");
      part.push(chunk as Uint8Array<ArrayBuffer>);
      if (inPartBytes >= partBytes) fold();
      transfer.moved(receivedBytes);
    }
    if (receivedBytes < file.sizeBytes) throw brokenError("less than was announced");
    fold();
    // As a type of the sender's choice it could be a page of this origin, for a person who opens it in a tab.
    transfer.finish(
      new Blob([whole], { type: pictureTypes.includes(file.mime) ? file.mime : "application/octet-stream" }),
    );
  } catch (error) {
    transfer.fail(error);
    stream.destroy(error);
  }
}

function brokenError(message: string): StreamError {
  return new StreamError(message, { code: Code.DataLoss });
}
