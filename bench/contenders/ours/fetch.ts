import { createConnectTransport } from "@connectrpc/connect-node";
import { createOurs } from "./ours.ts";

/** A link over plain requests: HTTP/1.1 cannot carry a stream both ways. */
export const fetch = createOurs((_, baseUrl) =>
  createConnectTransport({ baseUrl: `${baseUrl}/browser-server`, httpVersion: "1.1", acceptCompression: [] }),
);
