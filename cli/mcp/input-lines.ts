const newline = 0x0a;

/**
 * The lines of an input, without their ends, in UTF-8; the last one need not have an end. Empty lines are left out.
 * Throws an `Error` for a line of more than `maxBytes`, and for one that is no UTF-8.
 */
export async function* inputLines(input: AsyncIterable<Uint8Array>, maxBytes: number): AsyncGenerator<string> {
  const decoder = new TextDecoder("utf-8", { fatal: true });
  let parts: Uint8Array[] = [];
  let bytes = 0;
  const takeLine = () => {
    const line = decode(Buffer.concat(parts), decoder);
    parts = [];
    bytes = 0;
    return line;
  };
  const keep = (part: Uint8Array) => {
    bytes += part.byteLength;
    if (bytes > maxBytes) throw new Error(`a line of standard input has more than ${maxBytes} bytes`);
    parts.push(part);
  };
  for await (const chunk of input) {
    let start = 0;
    for (let end = chunk.indexOf(newline); end >= 0; end = chunk.indexOf(newline, start)) {
      keep(chunk.subarray(start, end));
      start = end + 1;
      const line = takeLine();
      if (line !== "") yield line;
    }
    keep(chunk.subarray(start));
  }
  const last = takeLine();
  if (last !== "") yield last;
}

function decode(bytes: Uint8Array, decoder: TextDecoder): string {
  try {
    return decoder.decode(bytes).trim();
  } catch {
    throw new Error("a line of standard input is no UTF-8");
  }
}
