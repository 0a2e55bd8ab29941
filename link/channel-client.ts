import { create } from "@bufbuild/protobuf";
import { ChannelRequestSchema, type Header } from "../gen/streamserver/v1/link_pb.js";
import type { PartsClient } from "../leg/leg-call.js";
import type { Parts } from "../leg/parts.js";
import { fromConnectError, toConnectError } from "../stream/failure-detail.js";
import type { Channel } from "./channel.js";
import { headersFromWire, headersToWire } from "./header.js";
import type { Link } from "./link.js";

/**
 * How often a call asks for a link with room. Others that waited with it may have taken all the room of the one it got.
 */
const maxTries = 100;

/**
 * A client on the channels of links. `openLink` resolves with a link that has room for a channel; `onResponse` is told
 * which link carries the call of a response.
 */
export function createChannelClient(
  openLink: () => Promise<Link>,
  onResponse: (header: Headers, link: Link) => void = () => {},
): PartsClient {
  const openChannel = async (path: string, header: Headers, signal: AbortSignal | undefined) => {
    for (let tries = 1; ; tries += 1) {
      const opening = openLink().catch((reason: unknown) => Promise.reject(toConnectError(reason)));
      const link = await unlessAborted(opening, signal);
      if (link.hasRoom || tries === maxTries) return [open(link, path, header), link] as const;
    }
  };
  return async function request({ url, header, body, signal }) {
    const [channel, link] = await openChannel(new URL(url).pathname, header, signal);
    const onAbort = () => channel.reset(fromConnectError(signal?.reason));
    signal?.addEventListener("abort", onAbort, { once: true });
    // The signal may have been aborted while the link was handed on.
    if (signal?.aborted) onAbort();
    channel.signal.addEventListener("abort", () => signal?.removeEventListener("abort", onAbort), { once: true });
    void sendBody(channel, body);
    const { status, headers } = await channel.response.promise;
    const responseHeader = headersOf(channel, headers);
    onResponse(responseHeader, link);
    return { status, header: responseHeader, body: channel.body(), trailer: channel.trailer };
  };
}

/** Settles as the promise does, or rejects with the signal's reason as soon as that is aborted. */
function unlessAborted<T>(promise: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  if (signal === undefined) return promise;
  return new Promise((resolve, reject) => {
    const onAbort = () => reject(signal.reason);
    signal.addEventListener("abort", onAbort, { once: true });
    promise.then(resolve, reject).finally(() => signal.removeEventListener("abort", onAbort));
    if (signal.aborted) onAbort();
  });
}

function open(link: Link, path: string, header: Headers): Channel {
  try {
    return link.open(create(ChannelRequestSchema, { path, headers: headersToWire(header) }));
  } catch (reason) {
    throw toConnectError(reason);
  }
}

function headersOf(channel: Channel, headers: Header[]): Headers {
  try {
    return headersFromWire(headers);
  } catch (reason) {
    channel.reset(fromConnectError(reason));
    throw toConnectError(reason);
  }
}

async function sendBody(channel: Channel, body: AsyncIterable<Uint8Array | Parts> | undefined): Promise<void> {
  try {
    if (body !== undefined) await channel.send(body);
    channel.endRequest();
  } catch (reason) {
    channel.reset(fromConnectError(reason));
  }
}
