import { propagation, ROOT_CONTEXT, type Span, SpanKind, SpanStatusCode, trace } from "@opentelemetry/api";
import { nameOf, type StreamError } from "../../stream/error/stream-error.js";
import type { OfferTracing, TracedOffer } from "../relay/lease/offer-tracing.js";
import type { RelayEvent, StreamChange } from "../relay/relay-events.js";
import type { StreamEnd } from "../relay/stream/stream-end.js";

/**
 * Makes a span for each stream of a relay, from its offer to its end. The client's context comes with the metadata of
 * the stream, and the listener gets it with the span of the relay in it.
 */
export class StreamTracer implements OfferTracing {
  readonly #tracer = trace.getTracer("browser-stream-server");
  /** The spans of the streams that are not over, by their ids. There are as many as the relay holds streams. */
  readonly #spans = new Map<string, Span>();

  begin(streamId: string, name: string, metadata: Record<string, string>): TracedOffer {
    const parent = propagation.extract(ROOT_CONTEXT, metadata);
    const attributes = { "bss.stream.id": streamId, "bss.name": name };
    const span = this.#tracer.startSpan("stream", { kind: SpanKind.SERVER, attributes }, parent);
    const carried = { ...metadata };
    propagation.inject(trace.setSpan(parent, span), carried);
    this.#spans.set(streamId, span);
    return { metadata: carried, fail: (error) => this.#fail(streamId, error) };
  }

  /** Takes the events of the relay. */
  on(event: RelayEvent): void {
    if (!("stream" in event)) return;
    if (event.kind === "stream ended") this.#end(event);
    else if (event.kind !== "stream offered") {
      this.#spans.get(event.stream.id)?.addEvent(event.kind, "role" in event ? { "bss.hop": event.role } : {});
    }
  }

  /** Ends the spans of all streams, of which nothing more is heard. */
  close(): void {
    for (const span of this.#spans.values()) span.end();
    this.#spans.clear();
  }

  #fail(streamId: string, { failure, code, message }: StreamError): void {
    this.#endSpan(streamId, { hop: "relay", failure, code, reason: message });
  }

  #end({ stream, end }: Extract<StreamChange, { kind: "stream ended" }>): void {
    const { id, client, listener } = stream;
    const bytes = { "bss.bytes.client": client.bytes, "bss.bytes.listener": listener.bytes };
    this.#endSpan(id, end, bytes);
  }

  #endSpan(streamId: string, { hop, failure, code, reason }: StreamEnd, attributes: Record<string, number> = {}): void {
    const span = this.#spans.get(streamId);
    if (span === undefined) return;
    this.#spans.delete(streamId);
    span.setAttributes(attributes);
    if (code !== undefined) {
      const why = nameOf(failure, code);
      span.setAttributes({ "bss.reason": why, "bss.hop": hop ?? "none" });
      span.setStatus({ code: SpanStatusCode.ERROR, message: reason ?? why });
    }
    span.end();
  }
}
