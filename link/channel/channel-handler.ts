import { create } from "@bufbuild/protobuf";
import { type ContextValues, createContextValues } from "@connectrpc/connect";
import type { UniversalHandler } from "@connectrpc/connect/protocol";
import { type ChannelRequest, ChannelResponseSchema } from "../../gen/streamserver/v1/link_pb.js";
import { fromConnectError } from "../../stream/error/failure-detail.js";
import { headersFromWire, headersToWire } from "../packet/header.js";
import type { Channel } from "./channel.js";
import { ChannelBodies } from "./channel-bodies.js";

/** Resolves when nothing of the handler runs any more. The values reach the handlers with the call. */
export type ChannelHandler = (channel: Channel, request: ChannelRequest, values?: ContextValues) => Promise<void>;

/** Serves channels with a Connect router's handlers, as an HTTP server would serve requests. */
export function createChannelHandler(handlers: readonly UniversalHandler[]): ChannelHandler {
  const byPath = new Map(handlers.map((handler) => [handler.requestPath, handler]));
  return async (channel, request, values = createContextValues()) => {
    const handler = byPath.get(request.path);
    if (handler === undefined) {
      channel.respond(create(ChannelResponseSchema, { status: 404 }));
      channel.end();
      return;
    }
    await serve(channel, request, handler, values);
  };
}

async function serve(
  channel: Channel,
  request: ChannelRequest,
  handler: UniversalHandler,
  contextValues: ContextValues,
): Promise<void> {
  const bodies = new ChannelBodies(channel);
  try {
    const response = await handler({
      httpVersion: "2.0",
      method: "POST",
      url: `http://link${request.path}`,
      header: headersFromWire(request.headers),
      body: bodies.received(),
      signal: bodies.signal,
      contextValues,
    });
    channel.respond(
      create(ChannelResponseSchema, { status: response.status, headers: headersToWire(response.header) }),
    );
    // Ends the generators of a handler whose channel is over: they run what they have to run only when they are told
    // so.
    if (response.body) await bodies.send(response.body);
    channel.end(headersToWire(response.trailer));
  } catch (reason) {
    channel.reset(fromConnectError(reason));
  }
}
