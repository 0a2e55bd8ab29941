import { once } from "node:events";

const chunkBytes = 32_768;

/** Writes to a stream, and waits while it is full. */
export async function write(stream, chunk) {
  if (!stream.write(chunk)) await once(stream, "drain");
}

/** Input as it comes, in chunks. */
export async function* chunks(input) {
  for await (const data of input) {
    for (let start = 0; start < data.length; start += chunkBytes) yield data.subarray(start, start + chunkBytes);
  }
}

/** Input line by line. */
export async function* lines(input) {
  let rest = "";
  for await (const text of input.setEncoding("utf8")) {
    const whole = (rest + text).split("\n");
    rest = whole.pop();
    for (const line of whole) yield Buffer.from(line);
  }
  if (rest !== "") yield Buffer.from(rest);
}
