import { create, toJsonString } from "@bufbuild/protobuf";
import type { Transport } from "@connectrpc/connect";
import { LinkService, type SendRequest, SendRequestSchema } from "../../gen/streamserver/v1/link_pb.js";
import { goodbyeTimeoutMs, lastPacket, linkSendPath } from "../../link/packet/link-message.js";
import { isOwnCancel } from "../../stream/error/stream-error.js";
import type { Clock } from "../../stream/platform/clock.js";
import { followPage, pageLeftError } from "../page/page-life.js";
import type { LeavableLink, LinkOpener } from "./opened-link.js";
import { relayPathUrl } from "./relay-path-url.js";
import { callUnary } from "./rpc-call.js";

type Open = (signal: AbortSignal) => Promise<LeavableLink>;
type Say = (goodbye: SendRequest) => void;

/**
 * Says goodbye to the relay at a base URL in a request that outlives its page, and needs no preflight at another origin.
 */
export function beaconTo(baseUrl: string): Say {
  const url = relayPathUrl(baseUrl, linkSendPath);
  return (goodbye) => void navigator.sendBeacon(url, toJsonString(SendRequestSchema, goodbye));
}

/** Says goodbye in a call, which the browser may cut off. */
export function callOver(transport: Transport): Say {
  return (goodbye) => void callUnary(transport, LinkService.method.send, goodbye).catch(() => {});
}

/**
 * Has the links of an opener say goodbye when their page is left, so that the relay ends their streams and names at
 * once.
 *
 * - A WebSocket that is open says goodbye with its close code. Every other link does in a `Send`, because the end of a
 *   `Receive` alone means nothing.
 * - A link that was cut a moment before says goodbye too: Firefox closes the WebSockets of a page, and WebKit ends its
 *   requests, before the page hears that it is left.
 */
export function withGoodbye(open: Open, say: Say, clock: Clock): LinkOpener {
  return async (signal) => {
    const opened = await open(signal);
    const { kind, link, proof } = opened;
    let needsSend = kind === "fetch";
    const onLeave = () => {
      if (needsSend) say(create(SendRequestSchema, { ...proof, packets: [lastPacket(pageLeftError())] }));
    };
    const stopFollowing = followPage({ onLeave, onShow() {}, onWake() {} });
    void link.closed.then((error) => {
      needsSend ||= !isOwnCancel(error);
      clock.after(goodbyeTimeoutMs, stopFollowing, false);
    });
    return opened;
  };
}
