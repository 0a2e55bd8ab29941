import { type Bytes, type Codec, rawCodec } from "../../stream/codec.js";
import { Endpoint } from "../../stream/endpoint/endpoint.js";
import type { EndpointOptions } from "../../stream/endpoint/endpoint-options.js";
import type { StreamError } from "../../stream/error/stream-error.js";
import { Stream } from "../../stream/stream.js";
import { StreamLife } from "../../stream/stream-life.js";
import { exchange } from "./frames.js";
import { settled } from "./outcome.js";

type RawStream = Stream<string | Uint8Array, string | Bytes>;

export interface StreamAndPeer<Out, In> {
  stream: Stream<Out, In>;
  life: StreamLife;
  /** The other endpoint, which the test moves by hand. */
  peer: Endpoint;
  /** The errors that nobody listened for. */
  unheard: StreamError[];
  /** Carries frames both ways until there are none, and lets the application on this side do what follows. */
  carry(): Promise<void>;
}

/** A stream, and the endpoint on the other side in the test's hand. */
export function streamAndPeer(options?: EndpointOptions): StreamAndPeer<string | Uint8Array, string | Bytes>;
export function streamAndPeer<Out, In>(options: EndpointOptions, codec: Codec<Out, In>): StreamAndPeer<Out, In>;
export function streamAndPeer(options: EndpointOptions = {}, codec: Codec<unknown> = rawCodec as Codec<unknown>) {
  const life = new StreamLife(options);
  const unheard: StreamError[] = [];
  const stream = new Stream<unknown>(life, { codec, metadata: {}, onUnheard: (error) => unheard.push(error) });
  const peer = new Endpoint(options, () => {});
  const carry = async () => {
    await settled();
    exchange(life.endpoint, peer);
    await settled();
    exchange(life.endpoint, peer);
    await settled();
  };
  return { stream, life, peer, unheard, carry };
}

/** Two streams whose frames travel by themselves. */
export function joinedStreams(options?: EndpointOptions): [RawStream, RawStream];
export function joinedStreams<Out, In>(
  options: EndpointOptions,
  codec: Codec<Out, In>,
): [Stream<Out, In>, Stream<Out, In>];
export function joinedStreams(options: EndpointOptions = {}, codec: Codec<unknown> = rawCodec as Codec<unknown>) {
  const [a, b] = [new StreamLife(options), new StreamLife(options)];
  const streams = [a, b].map((life) => new Stream<unknown>(life, { codec, metadata: {} }));
  carryAll(a, b);
  carryAll(b, a);
  a.accept(b.endpoint.capabilities);
  b.accept(a.endpoint.capabilities);
  return streams;
}

function carryAll(from: StreamLife, to: StreamLife): void {
  const carry = () => {
    for (let frame = from.endpoint.takeFrame(); frame !== undefined; frame = from.endpoint.takeFrame()) {
      to.endpoint.receive(frame);
    }
  };
  from.onLegChange = () => queueMicrotask(carry);
}

/** The events of a stream as they come, "data" and "error" with what they carry. Listening to "data" makes it flow. */
export function eventsOf(stream: Stream<unknown>, which: "all" | "all but data" = "all"): unknown[] {
  const events: unknown[] = [];
  for (const name of ["open", "end", "drain", "finish", "close"] as const) stream.on(name, () => events.push(name));
  stream.on("error", ({ code }) => events.push(["error", code]));
  if (which === "all") stream.on("data", (message) => events.push(["data", message]));
  return events;
}

export function textMessage(text: string) {
  return rawCodec.encode(text);
}
