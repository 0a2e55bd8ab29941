/**
 * The client as one file for pages without a bundler, which the relay serves as `client.js`: everything that the
 * package exports to browsers, and with it the two exports of others that a page needs to call `List` and `Watch`.
 */
export { createClient } from "@connectrpc/connect";
export { RelayService } from "../gen/streamserver/v1/relay_pb.js";
export * from "./index.js";
