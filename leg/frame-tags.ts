import { FrameSchema, MessageSchema } from "../gen/streamserver/v1/frame_pb.js";
import { ConnectRequestSchema } from "../gen/streamserver/v1/relay_pb.js";
import { lengthTag, varintTag } from "./wire-writer.js";

const { sequence, ack, credit, messages, fin, reset } = FrameSchema.field;
const { data, text, more } = MessageSchema.field;

/** The tag of a frame, which has the same field number in all four messages of a leg. */
export const frameTag = lengthTag(ConnectRequestSchema.field.frame.number);

/** The tags of a frame's fields. */
export const sequenceTag = varintTag(sequence.number);
export const ackTag = varintTag(ack.number);
export const creditTag = varintTag(credit.number);
export const messagesTag = lengthTag(messages.number);
export const finTag = varintTag(fin.number);
export const resetTag = lengthTag(reset.number);

/** The tags of a message's fields. */
export const dataTag = lengthTag(data.number);
export const textTag = varintTag(text.number);
export const moreTag = varintTag(more.number);
