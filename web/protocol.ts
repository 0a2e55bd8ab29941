/** The protocol's descriptors and types, for a client or a server of one's own. */
export * from "../gen/streamserver/v1/admin_pb.js";
export * from "../gen/streamserver/v1/failure_pb.js";
export * from "../gen/streamserver/v1/frame_pb.js";
export * from "../gen/streamserver/v1/link_pb.js";
export * from "../gen/streamserver/v1/relay_pb.js";
