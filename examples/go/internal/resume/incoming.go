package resume

import (
	"fmt"

	"connectrpc.com/connect"

	v1 "browser-stream-server/examples/go/gen/streamserver/v1"
)

const (
	maxMessageBytes  = 16777216 // what Capabilities without a number promises
	maxUnackedFrames = 16
)

// Message is a whole message of the peer.
type Message struct {
	Data []byte
	Text bool
	cost uint64
}

// incoming is what one endpoint receives: frames in, whole messages out, and the acks and grants that it owes for them.
type incoming struct {
	sequence   uint64 // the highest number that has come without a gap
	finished   bool
	dropsGaps  bool
	messages   []*Message
	window     uint64
	part       *Message // the beginning of a message
	granted    uint64
	cost       uint64
	unreadCost uint64
	told       uint64 // what the newest ack was for
	toldCost   uint64
	asked      bool
}

// take returns the reset for a rule that the peer broke, or nil.
func (i *incoming) take(frame *v1.Frame) *v1.Reset {
	if hasData := len(frame.Messages) > 0 || frame.Fin; hasData != (frame.Sequence > 0) {
		return violation("a number without data, or data without one")
	}
	if frame.Sequence <= i.sequence {
		return nil // It came before, or has no number.
	}
	if frame.Sequence > i.sequence+1 {
		if i.dropsGaps {
			return nil
		}
		reason := fmt.Sprintf("frame %d leaves a gap", frame.Sequence)
		return reset(connect.CodeOutOfRange, reason, v1.Failure_FAILURE_SEQUENCE_GAP)
	}
	if i.finished {
		return violation("a frame after the fin")
	}
	for _, message := range frame.Messages {
		if broken := i.takePart(message); broken != nil {
			return broken
		}
	}
	if frame.Fin && i.part != nil {
		return violation("a fin between two parts")
	}
	i.sequence, i.dropsGaps, i.finished = frame.Sequence, false, frame.Fin
	return nil
}

func (i *incoming) takePart(part *v1.Message) *v1.Reset {
	i.cost += cost(part)
	if i.cost > i.granted {
		return reset(connect.CodeResourceExhausted, "more than was granted", v1.Failure_FAILURE_CREDIT_EXCEEDED)
	}
	whole := i.part
	if whole == nil {
		whole = &Message{Text: part.Text}
	}
	whole.Data = append(whole.Data, part.Data...)
	whole.cost += cost(part)
	if len(whole.Data) > maxMessageBytes {
		return reset(connect.CodeResourceExhausted, "the message is too large", v1.Failure_FAILURE_MESSAGE_TOO_LARGE)
	}
	i.part = whole
	if !part.More {
		i.part = nil
		i.messages = append(i.messages, whole)
		i.unreadCost += whole.cost
	}
	return nil
}

func (i *incoming) read() *Message {
	message := i.messages[0]
	i.messages = i.messages[1:]
	i.unreadCost -= message.cost
	return message
}

func (i *incoming) owesAck() bool {
	return i.sequence > i.told
}

// mustSay returns whether the ack, or a grant, is worth a frame of its own. The ack is once it has waited long enough
// for a frame to go along with, which is when it was asked for.
func (i *incoming) mustSay() bool {
	waits := i.sequence-i.told >= maxUnackedFrames || i.cost-i.toldCost >= i.window/2
	return i.grantDue() || (i.owesAck() && (i.asked || i.finished || waits))
}

func (i *incoming) grantDue() bool {
	return i.cost+i.window >= i.unreadCost+i.granted+i.window/4
}

// say puts the ack and the grant that are due into a frame, or both again, because they may have been lost.
func (i *incoming) say(frame *v1.Frame, again bool) {
	if i.owesAck() || again {
		frame.Ack = i.sequence
		i.told, i.toldCost, i.asked = i.sequence, i.cost, false
	}
	if i.grantDue() || again {
		i.granted = max(i.granted, i.cost+i.window-i.unreadCost)
		frame.Credit = i.granted
	}
}

func violation(reason string) *v1.Reset {
	return reset(connect.CodeInvalidArgument, reason, v1.Failure_FAILURE_PROTOCOL_VIOLATION)
}

func reset(code connect.Code, reason string, failure v1.Failure) *v1.Reset {
	return &v1.Reset{Code: uint32(code), Reason: reason, Failure: failure}
}
