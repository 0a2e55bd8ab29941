import type { HttpContender } from "../../contender.ts";
import { loadHttp, loadProduct } from "../../product.ts";
import { baseUrl, httpAnswers, streamAnswers } from "./http-answers.ts";
import { serveOurs } from "./ours.ts";

const serve = () => serveOurs({ gateway: { by: "path" } });

/** The gateway of this package. */
export const gateway: HttpContender = { serve, answer: httpAnswers(loadHttp) };

/** A stream of this package, through the same relay: what a download of the gateway could be at best. */
export const plainStream: HttpContender = {
  serve,
  answer: streamAnswers(loadProduct),
  async download(port, name, bytes) {
    const { StreamClient } = await loadProduct();
    const stream = StreamClient(baseUrl(port)).connect(name, { metadata: { bytes: String(bytes) } });
    let receivedBytes = 0;
    stream.on("data", (message) => {
      receivedBytes += (message as Uint8Array).byteLength;
    });
    await new Promise<void>((resolve, reject) => stream.on("end", resolve).on("error", reject));
    stream.end();
    return receivedBytes;
  },
};
