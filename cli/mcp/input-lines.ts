const newline = 0x0a;

/**
 * The lines of an input, without their ends, in UTF-8. Empty lines are left out, and so is a last one without an end,
 * which was cut off. Throws an `Error` for a line of more than `maxBytes`, and for one that is no UTF-8.
 */
export async function* inputLines(input: AsyncIterable<Uint8Array>, maxBytes: number): AsyncGenerator<string> {
  const decoder = new TextDecoder("utf-8", { fatal: true });
  let parts: Uint8Array[] = [];
  let bytes = 0;
  const keep = (part: Uint8Array) => {
    bytes += part.byteLength;
    if (bytes > maxBytes) throw new Error(`a line of standard input has more than ${maxBytes} bytes`);
    parts.push(part);
  };
  for await (const chunk of input) {
    let start = 0;
    for (let end = chunk.indexOf(newline); end >= 0; end = chunk.indexOf(newline, start)) {
      keep(chunk.subarray(start, end));
      const line = decode(Buffer.concat(parts), decoder);
      parts = [];
      bytes = 0;
      start = end + 1;
      if (line !== "") yield line;
    }
    keep(chunk.subarray(start));
  }
}

function decode(bytes: Uint8Array, decoder: TextDecoder): string {
  try {
    return decoder.decode(bytes).trim();
  } catch {
    throw new Error("a line of standard input is no UTF-8");
  }
}
