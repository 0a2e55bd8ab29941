export { Code } from "@connectrpc/connect";
export { Failure, Hop } from "../gen/streamserver/v1/failure_pb.js";
export { StreamError } from "../stream/error/stream-error.js";
export type { AcceptCaller, CallerStream, HttpServer } from "./call/http-server.js";
export type { CallInfo, HttpHandler } from "./call/served-call.js";
export type { CreateFetchOptions, FetchOverStream, ServeOptions } from "./entry.js";
export { type HeaderValues, trailersOf, withTrailers } from "./message/trailers.js";
