import { createConnectTransport } from "@connectrpc/connect-node";
import { createOurs } from "./ours.ts";

/** This package with a link over plain requests, which it takes because HTTP/1.1 has no full-duplex calls. */
export const fetch = createOurs((_, baseUrl) =>
  createConnectTransport({ baseUrl: `${baseUrl}/browser-server`, httpVersion: "1.1", acceptCompression: [] }),
);
