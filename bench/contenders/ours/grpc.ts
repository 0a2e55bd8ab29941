import { createHttp2Transport } from "./http2-transport.ts";
import { createOurs } from "./ours.ts";

/** This package with gRPC legs, on a transport of connect-node. */
export const grpc = createOurs((_, baseUrl) => createHttp2Transport("grpc", `${baseUrl}/browser-server`));
