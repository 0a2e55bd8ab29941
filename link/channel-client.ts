import { create } from "@bufbuild/protobuf";
import type { UniversalClientFn } from "@connectrpc/connect/protocol";
import { ChannelRequestSchema, type Header } from "../gen/streamserver/v1/link_pb.js";
import { fromConnectError, toConnectError } from "../stream/error/failure-detail.js";
import { unlessAborted } from "../stream/platform/unless-aborted.js";
import type { Channel } from "./channel/channel.js";
import { ChannelBodies } from "./channel/channel-bodies.js";
import type { Link } from "./link.js";
import { headersFromWire, headersToWire } from "./packet/header.js";

/**
 * A call asks for a link with room at most so often. Other calls that waited with it may have taken all the room of the
 * link that it got.
 */
const maxTries = 100;

/** A channel for a call, and the link that it is on, for an opener that tells its links apart. */
export interface OpenedChannel<L = Link> {
  channel: Channel;
  link: L;
}

/**
 * Opens a channel for a call. Rejects with a `ConnectError` if there is none to be had, and with the signal's reason
 * as soon as that is aborted.
 */
export type ChannelOpener<L = Link> = (
  url: string,
  header: Headers,
  signal: AbortSignal | undefined,
) => Promise<OpenedChannel<L>>;

/** Opens channels on links. `openLink` resolves with a link that has room for a channel. */
export function createChannelOpener(openLink: () => Promise<Link>): ChannelOpener {
  return async (url, header, signal) => {
    for (let tries = 1; ; tries += 1) {
      const opening = openLink().catch((reason: unknown) => Promise.reject(toConnectError(reason)));
      const link = await unlessAborted(opening, signal);
      if (link.hasRoom || tries === maxTries) return { channel: open(link, new URL(url).pathname, header), link };
    }
  };
}

/** Is told the head of a response, and the link that carries its call. */
export type OnResponse<L = Link> = (header: Headers, link: L) => void;

/** An HTTP client on channels. */
export function createChannelClient<L>(
  openChannel: ChannelOpener<L>,
  onResponse: OnResponse<L> = () => {},
): UniversalClientFn {
  return async ({ url, header, body, signal }) => {
    const { channel, link } = await openChannel(url, header, signal);
    const bodies = new ChannelBodies(channel);
    const onAbort = () => channel.reset(fromConnectError(signal?.reason));
    signal?.addEventListener("abort", onAbort, { once: true });
    // The signal may have been aborted while the link was handed on.
    if (signal?.aborted) onAbort();
    bodies.signal.addEventListener("abort", () => signal?.removeEventListener("abort", onAbort), { once: true });
    void sendBody(channel, bodies, body);
    const { status, headers } = await channel.response.promise;
    const responseHeader = headersOf(channel, headers);
    onResponse(responseHeader, link);
    return { status, header: responseHeader, body: bodies.received(), trailer: channel.trailer };
  };
}

function open(link: Link, path: string, header: Headers): Channel {
  try {
    return link.open(create(ChannelRequestSchema, { path, headers: headersToWire(header) }));
  } catch (reason) {
    throw toConnectError(reason);
  }
}

/** The headers of the answer on a channel, which is reset if HTTP does not know them. */
export function headersOf(channel: Channel, headers: Header[]): Headers {
  try {
    return headersFromWire(headers);
  } catch (reason) {
    channel.reset(fromConnectError(reason));
    throw toConnectError(reason);
  }
}

async function sendBody(
  channel: Channel,
  bodies: ChannelBodies,
  body: AsyncIterable<Uint8Array> | undefined,
): Promise<void> {
  try {
    if (body !== undefined) await bodies.send(body);
    channel.end();
  } catch (reason) {
    channel.reset(fromConnectError(reason));
  }
}
