import { readFileSync } from "node:fs";
import { create, type DescMessage, fromBinary, type MessageShape } from "@bufbuild/protobuf";
import { describe, expect, test } from "vitest";
import { Failure, FailureDetailSchema } from "../../../gen/streamserver/v1/failure_pb.js";
import {
  AcceptRequestSchema,
  AcceptResponseSchema,
  ConnectRequestSchema,
  ConnectResponseSchema,
  OfferSchema,
  OpenSchema,
  RejectRequestSchema,
} from "../../../gen/streamserver/v1/relay_pb.js";
import { dataOf } from "../../../leg/envelope.js";
import { frameEnvelope } from "../../../leg/frame-envelope.js";
import { frameFromWire } from "../../../leg/wire-frame.js";
import { capabilitiesFromWire } from "../../../stream/endpoint/capabilities.js";
import { Endpoint } from "../../../stream/endpoint/endpoint.js";
import type { Frame } from "../../../stream/endpoint/frame.js";
import { StreamError } from "../../../stream/error/stream-error.js";
import type { ResumeVector, Side, VectorMessage, VectorStep } from "../../../tools/resume-vectors/resume-vector.js";
import { resumeVectors, resumeVectorsFile } from "../../../tools/resume-vectors/resume-vectors.js";
import { vectorNames } from "./page-names.js";

/** Steps that only say how the endpoint is. */
const outcomes = new Set<string>(["reads", "reads the end", "is suspended", "is resumed", "closes", "fails"]);

type Step<Does> = Extract<VectorStep, { does: Does }>;

const requestSchemas = { client: ConnectRequestSchema, listener: AcceptRequestSchema };
const responseSchemas = { client: ConnectResponseSchema, listener: AcceptResponseSchema };

function decoded<Desc extends DescMessage>(schema: Desc, { type, bytes }: VectorMessage): MessageShape<Desc> {
  expect(type).toBe(schema.name);
  return fromBinary(schema, Buffer.from(bytes, "hex"));
}

/** This package's own endpoint on one side of a vector, with as much of an attacher as the vectors need. */
class VectorPlayer {
  readonly #side: Side;
  readonly #endpoint: Endpoint;
  #leg = -1;
  #request: "open" | "ended" = "open";
  #life: "attaching" | "attached" | "suspended" = "attaching";
  /** The fields of the next `Open` that are not the endpoint's. */
  #open: { name?: string; streamId?: string; legToken?: string } = {};

  constructor(side: Side, windowBytes: number) {
    this.#side = side;
    this.#endpoint = new Endpoint({ windowBytes, resume: true }, () => {});
    if (side === "client") this.#open = { name: "demo" };
  }

  play(step: VectorStep): void {
    if (step.does === "sends") return this.#sends(step);
    // Frames stand behind the step that makes the endpoint send them. It sends no others.
    if (this.#life === "attached" && !outcomes.has(step.does)) expect(this.#takeFrame()).toBeUndefined();
    const endpoint = this.#endpoint;
    switch (step.does) {
      case "writes":
        endpoint.write({ data: new TextEncoder().encode(step.text), text: true });
        return;
      case "finishes":
        return endpoint.finish();
      case "resets":
        return endpoint.reset(new StreamError(step.reason, { code: step.code }));
      case "acknowledges":
        return endpoint.acknowledge();
      case "is offered":
        return this.#isOffered(step);
      case "gets":
        return this.#gets(step);
      case "breaks":
        this.#life = "suspended";
        return endpoint.detach();
      case "is refused":
        return this.#isRefused(step);
      case "calls":
        return this.#calls(step);
      case "reads":
        return expect(new TextDecoder().decode(endpoint.read()?.data)).toBe(step.text);
      case "reads the end":
        expect(endpoint.read()).toBeUndefined();
        return expect(endpoint.drained).toBe(true);
      case "is suspended":
        return expect(this.#life).toBe("suspended");
      case "is resumed":
        return expect(this.#life).toBe("attached");
      case "closes":
        return expect(endpoint.state).toEqual({ kind: "closed" });
      case "completes":
        return expect(endpoint.state.kind).not.toBe("open");
      case "fails":
        return this.#fails(step);
    }
  }

  /** Nothing is left over when the vector ends. */
  end(): void {
    if (this.#life === "attached") expect(this.#takeFrame()).toBeUndefined();
    expect(this.#endpoint.read()).toBeUndefined();
  }

  /** An endpoint that is closed has ended its request once it has said everything on its leg. */
  #takeFrame(): Frame | undefined {
    if (this.#request === "ended") return undefined;
    const frame = this.#endpoint.takeFrame();
    if (frame === undefined && this.#endpoint.state.kind === "closed") this.#request = "ended";
    return frame;
  }

  #sends({ leg, message }: Step<"sends" | "gets">): void {
    const content = decoded(requestSchemas[this.#side], message).message;
    if (content.case === "frame") {
      expect(leg).toBe(this.#leg);
      const frame = this.#takeFrame();
      const bytes = frame === undefined ? "nothing" : Buffer.from(dataOf(frameEnvelope(frame))).toString("hex");
      return expect(bytes).toBe(message.bytes);
    }
    this.#leg += 1;
    this.#request = "open";
    expect(leg).toBe(this.#leg);
    const resume = { receivedSequence: BigInt(this.#endpoint.receivedSequence), generation: leg };
    const { capabilities } = content.value as MessageShape<typeof OpenSchema>;
    expect(capabilitiesFromWire(capabilities)).toEqual(this.#endpoint.capabilities);
    const open = { ...this.#open, ...(capabilities && { capabilities }), ...(leg > 0 && { resume }) };
    expect(content.value).toEqual(create(OpenSchema, open));
  }

  #isOffered({ message }: Step<"is offered" | "calls">): void {
    const { streamId, legToken, capabilities } = decoded(OfferSchema, message);
    this.#open = { streamId, legToken };
    this.#endpoint.setPeer(capabilitiesFromWire(capabilities));
  }

  #gets({ leg, message }: Step<"sends" | "gets">): void {
    expect(leg).toBe(this.#leg);
    const { message: content } = decoded(responseSchemas[this.#side], message);
    switch (content.case) {
      case "opened":
        this.#endpoint.setMaxFrameBytes(content.value.limits?.maxFrameBytes ?? 0);
        this.#open = { ...this.#open, streamId: content.value.streamId, legToken: content.value.legToken };
        if (leg === 0) this.#life = "attached";
        else this.#endpoint.expectGap();
        return;
      case "accepted":
        this.#open = { ...this.#open, name: "" };
        return this.#endpoint.setPeer(capabilitiesFromWire(content.value.capabilities));
      case "suspended":
        this.#life = "suspended";
        return;
      case "resumed":
        this.#life = "attached";
        return this.#endpoint.resume(Number(content.value.receivedSequence));
      case "frame":
        return this.#endpoint.receive(frameFromWire(content.value));
    }
  }

  #isRefused({ leg, code, detail }: Step<"is refused">): void {
    const { failure, hop, receivedSequence } = decoded(FailureDetailSchema, detail);
    // The end of a leg that another one has replaced is expected.
    if (leg < this.#leg) return;
    const known = receivedSequence > 0n ? { receivedSequence: Number(receivedSequence) } : {};
    this.#endpoint.fail(new StreamError("", { code, failure, hop, ...known }));
  }

  #calls({ message }: Step<"is offered" | "calls">): void {
    const { state } = this.#endpoint;
    if (state.kind !== "resetting") throw new Error(`the endpoint is ${state.kind}`);
    const { code, message: reason, failure } = state.error;
    const { streamId = "", legToken = "" } = this.#open;
    const receivedSequence = BigInt(this.#endpoint.receivedSequence);
    const request = create(RejectRequestSchema, { streamId, legToken, code, reason, failure, receivedSequence });
    expect(decoded(RejectRequestSchema, message)).toEqual(request);
    this.#endpoint.fail(state.error);
  }

  #fails({ code, failure, delivered, final }: Step<"fails">): void {
    const { state, delivery } = this.#endpoint;
    if (state.kind !== "failed") throw new Error(`the endpoint is ${state.kind}`);
    expect({ code: state.error.code, failure: `FAILURE_${Failure[state.error.failure]}` }).toEqual({ code, failure });
    expect(delivery).toEqual({ messages: delivered, isFinal: final });
  }
}

function play({ window_bytes, steps }: ResumeVector): void {
  const players = {
    client: new VectorPlayer("client", window_bytes.client),
    listener: new VectorPlayer("listener", window_bytes.listener),
  };
  for (const [index, step] of steps.entries()) {
    try {
      players[step.at].play(step);
    } catch (error) {
      throw new Error(`step ${index + 1}, ${JSON.stringify(step)}`, { cause: error });
    }
  }
  for (const player of Object.values(players)) player.end();
}

describe("docs/resume-vectors.json", () => {
  test("is what the program writes", () => {
    const url = new URL("../../../docs/resume-vectors.json", import.meta.url);
    expect(readFileSync(url, "utf8")).toBe(resumeVectorsFile());
  });

  test("has no name that docs/protocol.md does not explain", () => {
    const page = readFileSync(new URL("../../../docs/protocol.md", import.meta.url), "utf8");
    const chapter = page.slice(page.indexOf("### Test vectors"), page.indexOf("## Links"));
    expect([...vectorNames].filter((name) => !chapter.includes(`\`${name}\``))).toEqual([]);
  });

  test.each(resumeVectors)("$title: an Endpoint does the same", (vector) => {
    play(vector);
  });
});
