import type { Stream } from "../../../web/index.ts";
import type { AnswerNames } from "../../contender.ts";
import type { HttpProduct, Product } from "../../product.ts";
import { downloadMessages } from "../../traffic/download.ts";
import { handleHttp } from "../../traffic/http-handler.ts";

/** Names that are claimed at the same time. */
const claimAtOnce = 32;

/** Serves HTTP behind names, in Node or in a page. */
export function httpAnswers(loadHttp: () => Promise<HttpProduct>): AnswerNames {
  return async (port, names) => {
    const { serve } = await loadHttp();
    await claimAll(names, (name) => serve(baseUrl(port), name, handleHttp).ready);
  };
}

/** Sends downloads on plain streams, in Node or in a page. A client says in its metadata how many bytes it wants. */
export function streamAnswers(loadPackage: () => Promise<Product>): AnswerNames {
  return async (port, names) => {
    const { StreamServer } = await loadPackage();
    await claimAll(names, (name) => StreamServer(baseUrl(port), sendDownload).listen(name).ready);
  };
}

export const baseUrl = (port: number): string => `http://127.0.0.1:${port}`;

async function claimAll(names: readonly string[], claim: (name: string) => Promise<unknown>): Promise<void> {
  const left = names.values();
  const claimSome = async () => {
    for (const name of left) await claim(name);
  };
  await Promise.all(Array.from({ length: claimAtOnce }, claimSome));
}

async function sendDownload(stream: Stream): Promise<void> {
  for (const message of downloadMessages(Number(stream.metadata.bytes))) {
    if (!stream.write(message)) await new Promise<void>((resolve) => stream.once("drain", () => resolve()));
  }
  stream.end();
}
