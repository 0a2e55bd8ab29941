import { createHttp2Transport } from "./http2-transport.ts";
import { createOurs } from "./ours.ts";

/** gRPC's protocol, by a transport of connect-node. */
export const grpc = createOurs((_, baseUrl) => createHttp2Transport("grpc", `${baseUrl}/browser-server`));
