import { Code, ConnectError } from "@connectrpc/connect";
import type { Compression } from "@connectrpc/connect/protocol";
import { Parts } from "../../leg/parts.js";

/** The compression gzip by the streams that browsers and Node have. */
export const gzip: Compression = {
  name: "gzip",
  compress: (bytes) => through(new CompressionStream("gzip"), bytes, Number.POSITIVE_INFINITY),
  async decompress(bytes, readMaxBytes) {
    if (bytes.byteLength === 0) return new Uint8Array(0);
    try {
      return await through(new DecompressionStream("gzip"), bytes, readMaxBytes);
    } catch (reason) {
      if (reason instanceof ConnectError) throw reason;
      throw new ConnectError("a message is no gzip", Code.InvalidArgument, undefined, undefined, reason);
    }
  },
};

/** Throws `resource_exhausted` as soon as more than `maxBytes` come out, and reads no further. */
async function through(
  stream: CompressionStream | DecompressionStream,
  bytes: Uint8Array,
  maxBytes: number,
): Promise<Uint8Array<ArrayBuffer>> {
  const writer = stream.writable.getWriter();
  // An error of the writer fails the reader below as well.
  writer.write(bytes as Uint8Array<ArrayBuffer>).catch(() => {});
  writer.close().catch(() => {});
  const reader = (stream.readable as ReadableStream<Uint8Array>).getReader();
  const chunks: Uint8Array[] = [];
  let size = 0;
  for (let next = await reader.read(); !next.done; next = await reader.read()) {
    chunks.push(next.value);
    size += next.value.byteLength;
    if (size <= maxBytes) continue;
    void reader.cancel().catch(() => {});
    throw new ConnectError(`a message of more than ${maxBytes} bytes`, Code.ResourceExhausted);
  }
  return new Parts(chunks).joined as Uint8Array<ArrayBuffer>;
}
