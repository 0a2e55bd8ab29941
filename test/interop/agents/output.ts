/** The text that a program has printed on one of its outputs. */
export class Output {
  readonly #chunks: Uint8Array[] = [];
  readonly #decoder = new TextDecoder();
  readonly #lines: string[] = [];
  #decoded = 0;
  #rest = "";

  byteLength = 0;

  push(chunk: Uint8Array): void {
    this.#chunks.push(chunk);
    this.byteLength += chunk.byteLength;
  }

  get bytes(): Buffer {
    return Buffer.concat(this.#chunks);
  }

  /** The lines that are complete. */
  get lines(): readonly string[] {
    for (; this.#decoded < this.#chunks.length; this.#decoded++) {
      const lines = (this.#rest + this.#decoder.decode(this.#chunks[this.#decoded], { stream: true })).split("\n");
      this.#rest = lines.pop() ?? "";
      this.#lines.push(...lines);
    }
    return this.#lines;
  }

  /** The end of it, for a message to a person. */
  toString(): string {
    const { bytes } = this;
    const tail = bytes.subarray(-1_000).toString().trimEnd();
    if (tail === "") return "nothing";
    return `${bytes.byteLength} bytes, ending in\n${tail.replaceAll(/^/gm, "    ")}`;
  }
}
