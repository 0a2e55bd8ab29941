import type { MessageInitShape } from "@bufbuild/protobuf";
import type { ConnectRouter, HandlerContext } from "@connectrpc/connect";
import { Failure } from "../../gen/streamserver/v1/failure_pb.js";
import { LinkService, type ReceiveResponseSchema, type SendRequest } from "../../gen/streamserver/v1/link_pb.js";
import type { Link } from "../../link/link.js";
import { endOfLink, tooManyPacketsError } from "../../link/packet/link-message.js";
import { packetMessage } from "../../link/packet/outgoing-packet.js";
import { toConnectError } from "../../stream/error/failure-detail.js";
import { StreamError } from "../../stream/error/stream-error.js";
import type { Caller } from "../admission/caller.js";
import type { Holder } from "../admission/held-bytes.js";
import type { Relay } from "../relay/relay.js";
import { callerOf, expectEnd, heldBytesOf, takePlace, tokenOf } from "../rpc/caller.js";
import { wireErrorOf } from "../rpc/wire-error.js";
import type { Links, LiveLink } from "./links.js";

/** Bytes of packets in one `Send`. A batch with a wrong token is decoded, and refused, in a fraction of a second. */
export const maxBatchBytes = 524_288;
/** A batch as JSON is a third larger, and has headers around its packets. */
const readMaxBytes = 2 * maxBatchBytes;
/** Even a slow network brings a response of this size before the page takes the silence for a lost link. */
const maxResponseBytes = 163_840;

interface ReceivingLink extends LiveLink {
  /** The number that the next batch has. */
  nextSequence: bigint;
}

/** The bytes that wait for the client of a link: packets, and what its response has and the client does not read. */
class ResponseHolder implements Holder {
  readonly caller: Caller;
  /** A message that the response took counts for a byte. */
  passedBytes = 0;
  readonly #link: Link;
  readonly #context: HandlerContext;

  constructor(link: Link, context: HandlerContext) {
    this.caller = callerOf(context);
    this.#link = link;
    this.#context = context;
  }

  get heldBytes(): number {
    return this.#link.unsentBytes + heldBytesOf(this.#context);
  }

  /** The client is not waited for, as it does not read. It takes up its streams on another link. */
  endHeld(error: StreamError): void {
    this.#link.close(error);
    expectEnd(this.#context, 0);
  }
}

/** The links that browsers keep to the relay over `Receive` and `Send`. */
export class LinkRoutes {
  readonly #links: Links;
  readonly #relay: Pick<Relay, "signer" | "refused" | "admission">;
  readonly #receiving = new Map<string, ReceivingLink>();

  constructor(links: Links, relay: Pick<Relay, "signer" | "refused" | "admission">) {
    this.#links = links;
    this.#relay = relay;
  }

  /** Serves `LinkService` on a router. */
  register(router: ConnectRouter): void {
    router.service(
      LinkService,
      {
        receive: (_request, context) => this.#receive(context),
        send: (request, context) => this.#send(request, context),
      },
      // A request is kept as long as its channel, and each unknown field in it takes a hundred bytes.
      { readMaxBytes, binaryOptions: { readUnknownFields: false } },
    );
  }

  async *#receive(context: HandlerContext): AsyncGenerator<MessageInitShape<typeof ReceiveResponseSchema>> {
    if (context.signal.aborted) return;
    const live = this.#open(callerOf(context), tokenOf(context));
    takePlace(context);
    const { link, opened } = live;
    this.#receiving.set(opened.linkId, { ...live, nextSequence: 1n });
    // Not only when this generator ends: a response that a peer has left under backpressure is never asked for more.
    void link.closed.then(() => {
      this.#receiving.delete(opened.linkId);
      expectEnd(context);
    });
    const lost = new StreamError("the link was lost", { failure: Failure.LEG_LOST });
    const holder = new ResponseHolder(link, context);
    const stopHolding = this.#relay.admission.heldBytes.add(holder);
    const onEnd = () => {
      this.#links.endAtGoodbye(link, lost);
      stopHolding();
    };
    context.signal.addEventListener("abort", onEnd);
    try {
      yield { opened };
      const next = () => link.nextBatch(maxResponseBytes);
      for (let packets = await next(); packets !== undefined; packets = await next()) {
        yield { packets: packets.map(packetMessage) };
        holder.passedBytes += 1;
      }
      throw toConnectError(await link.closed);
    } finally {
      context.signal.removeEventListener("abort", onEnd);
      onEnd();
    }
  }

  #open(caller: Caller, token: string): LiveLink {
    try {
      return this.#links.open(caller, token, maxBatchBytes);
    } catch (reason) {
      throw wireErrorOf(reason);
    }
  }

  #send({ linkId, linkToken, sequence, packets }: SendRequest, context: HandlerContext): Record<string, never> {
    try {
      this.#relay.signer.verify("link", linkId, linkToken);
      const goodbye = endOfLink({ packets });
      // A page that is left does not wait for the answers to the batches before, and its link may be a WebSocket.
      if (goodbye !== undefined) {
        this.#links.leave(linkId, goodbye);
        return {};
      }
      const live = this.#receiving.get(linkId);
      if (live === undefined) throw new StreamError("the link has ended", { failure: Failure.LINK_GONE });
      live.watch.heard();
      if (sequence < 1n) throw new StreamError("batches are numbered from 1", { failure: Failure.PROTOCOL_VIOLATION });
      if (sequence > live.nextSequence) {
        throw new StreamError(`batch ${sequence} came, ${live.nextSequence} was expected`, {
          failure: Failure.SEQUENCE_GAP,
        });
      }
      if (sequence < live.nextSequence) return {};
      let batchBytes = 0;
      for (const { content } of packets) if (content.case === "data") batchBytes += content.value.byteLength;
      if (batchBytes > maxBatchBytes) {
        throw new StreamError(`a batch of ${batchBytes} bytes is larger than ${maxBatchBytes}`, {
          failure: Failure.FRAME_TOO_LARGE,
        });
      }
      if (packets.length > live.maxPackets) throw tooManyPacketsError(live.maxPackets);
      live.nextSequence += 1n;
      this.#relay.admission.heldBytes.received(batchBytes);
      for (const packet of packets) live.link.receive(packet);
      return {};
    } catch (reason) {
      throw wireErrorOf(this.#relay.refused(reason, { call: "link", caller: callerOf(context) }));
    }
  }
}
