export { Failure, Hop } from "../gen/streamserver/v1/failure_pb.js";
export { StreamError } from "../stream/error/stream-error.js";
export { type ConnectHandlerOptions, callerKey, connectHandler } from "./service/connect-handler.js";
export { streamErrorOf } from "./service/stream-error-of.js";
export type { StreamTransport, StreamTransportOptions } from "./service/stream-transport.js";
