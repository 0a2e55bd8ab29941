/** Plays docs/resume-vectors.json to the endpoint: `node --test`. */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { describe, test } from "node:test";
import { Endpoint } from "./endpoint.js";
import { messageType } from "./relay.js";

const vectors = JSON.parse(readFileSync(new URL("../../docs/resume-vectors.json", import.meta.url), "utf8"));
const outcomes = ["sends", "reads", "reads the end", "is suspended", "is resumed", "closes", "fails"];

const decode = ({ type, bytes }) => messageType(type).deserialize(Buffer.from(bytes, "hex"));
/** A message as it comes back from its bytes, with all of its defaults. */
const complete = (type, message) => messageType(type).deserialize(messageType(type).serialize(message));

/** An endpoint at one of the two sides of a vector. */
class Player {
  #windowBytes;
  #endpoint;
  #leg = -1;

  constructor(side, windowBytes) {
    this.#windowBytes = windowBytes;
    if (side === "client") this.#endpoint = new Endpoint({ name: "demo" }, { windowBytes });
  }

  play(step) {
    if (!outcomes.includes(step.does) && this.#endpoint?.state === "attached") {
      assert.equal(this.#endpoint.take(), undefined); // What an endpoint sends stands behind what makes it send.
    }
    this[step.does](step);
  }

  "is offered"({ message }) {
    const { stream_id, leg_token, capabilities } = decode(message);
    this.#endpoint = new Endpoint({ stream_id, leg_token }, { peer: capabilities, windowBytes: this.#windowBytes });
  }

  writes({ text }) {
    this.#endpoint.outgoing.write(Buffer.from(text), true);
  }

  finishes() {
    this.#endpoint.outgoing.finishing = true;
  }

  resets({ code, reason }) {
    this.#endpoint.reset({ code, reason });
  }

  acknowledges() {
    this.#endpoint.incoming.asked = true;
  }

  breaks() {
    this.#endpoint.loseLeg();
  }

  gets({ message }) {
    this.#endpoint.receive(decode(message));
  }

  "is refused"({ leg, code, detail }) {
    if (leg === this.#leg) this.#endpoint.refuseLeg(code, "", decode(detail));
  }

  completes() {
    this.#endpoint.completeLeg();
    assert(this.#endpoint.isOver);
  }

  sends({ leg, message }) {
    const expected = decode(message);
    if (expected.open) {
      this.#leg++;
      assert.deepEqual(complete(message.type, { open: this.#endpoint.nextOpen() }), expected);
    } else {
      const { frame } = complete(message.type, { frame: this.#endpoint.take() });
      assert(frame.credit >= expected.frame.credit);
      const { credit, reset } = expected.frame;
      const reason = reset?.failure === "FAILURE_UNSPECIFIED" ? frame.reset?.reason : reset?.reason;
      assert.deepEqual({ ...frame, credit, reset: frame.reset && { ...frame.reset, reason } }, expected.frame);
    }
    assert.equal(this.#leg, leg);
  }

  calls({ message }) {
    const request = this.#endpoint.rejectRequest(this.#endpoint.unsaidReset);
    assert.deepEqual(complete(message.type, request), decode(message));
  }

  reads({ text }) {
    const message = this.#endpoint.incoming.read();
    assert.deepEqual([message.data.toString(), message.text], [text, true]);
  }

  "reads the end"() {
    assert(this.#endpoint.incoming.finished);
    assert.equal(this.#endpoint.incoming.messages.length, 0);
  }

  "is suspended"() {
    assert.equal(this.#endpoint.state, "suspended");
  }

  "is resumed"() {
    assert.equal(this.#endpoint.state, "attached");
  }

  closes() {
    assert.equal(this.#endpoint.state, "closed");
  }

  fails({ code, failure, delivered, final }) {
    const { error } = this.#endpoint;
    const told = { code: error.code, failure: error.failure, delivered: error.delivered, final: error.final };
    assert.deepEqual(told, { code, failure, delivered, final });
  }
}

describe("the endpoint does what each vector says", () => {
  for (const { title, window_bytes, steps } of vectors) {
    test(title, () => {
      const players = {
        client: new Player("client", window_bytes.client),
        listener: new Player("listener", window_bytes.listener),
      };
      for (const [number, step] of steps.entries()) {
        try {
          players[step.at].play(step);
        } catch (cause) {
          throw new Error(`step ${number}: ${JSON.stringify(step)}`, { cause });
        }
      }
    });
  }
});
