package resume

import (
	v1 "browser-stream-server/examples/go/gen/streamserver/v1"
)

const (
	messageCost   = 16    // of each message, or part of one, beside its data
	initialCredit = 65536 // what each direction may cost before the first grant
	// The smallest window there is has 65,536 bytes, and half of it is always granted: so large a part never waits for
	// ever.
	partBytes = 16384
)

func cost(message *v1.Message) uint64 {
	return uint64(len(message.Data)) + messageCost
}

// outgoing is what one endpoint sends: messages in, numbered frames out, within credit, and again after a break.
type outgoing struct {
	credit      uint64
	queuedBytes int    // the data that was written and not yet put into a frame
	delivered   int    // the messages that are known to have reached the peer
	fin         uint64 // the number of the frame with the fin, once there is one
	sequence    uint64 // the number of the newest frame
	acked       uint64
	handed      uint64 // the highest number that the present leg has carried
	sentCost    uint64
	queue       []*v1.Message
	kept        []*v1.Frame // from the number after acked on
	finishing   bool
}

func (o *outgoing) write(data []byte, text bool) {
	o.queuedBytes += len(data)
	for len(data) > partBytes {
		o.queue = append(o.queue, &v1.Message{Data: data[:partBytes], Text: text, More: true})
		data = data[partBytes:]
	}
	o.queue = append(o.queue, &v1.Message{Data: data, Text: text})
}

// take returns the next frame for the leg: one that it has not carried yet, or a new one; nil if there is none.
func (o *outgoing) take(maxFrameBytes uint32) *v1.Frame {
	if o.handed < o.sequence {
		o.handed++
		return o.kept[o.handed-o.acked-1]
	}
	frame, room := &v1.Frame{}, min(uint64(maxFrameBytes), o.credit-o.sentCost)
	for len(o.queue) > 0 && cost(o.queue[0]) <= room {
		message := o.queue[0]
		o.queue = o.queue[1:]
		frame.Messages = append(frame.Messages, message)
		room -= cost(message)
		o.sentCost += cost(message)
		o.queuedBytes -= len(message.Data)
	}
	frame.Fin = o.finishing && len(o.queue) == 0 && o.fin == 0
	if len(frame.Messages) == 0 && !frame.Fin {
		return nil
	}
	o.sequence++
	o.handed = o.sequence
	if frame.Fin {
		o.fin = o.sequence
	}
	frame.Sequence = o.sequence
	o.kept = append(o.kept, frame)
	return frame
}

// acknowledge drops the kept frames up to a number, and returns false if it was never sent.
func (o *outgoing) acknowledge(sequence uint64) bool {
	if sequence > o.sequence {
		return false
	}
	for o.acked < sequence {
		for _, message := range o.kept[0].Messages {
			if !message.More {
				o.delivered++
			}
		}
		o.acked++
		o.kept = o.kept[1:]
	}
	o.handed = max(o.handed, o.acked)
	return true
}

// rewind has another leg carry all that was not acknowledged.
func (o *outgoing) rewind() {
	o.handed = o.acked
}

func (o *outgoing) done() bool {
	return o.fin > 0 && o.acked == o.fin
}
