// Package resume has streams that outlive their connections: "Resuming" in docs/protocol.md.
package resume

import (
	"fmt"
	"slices"

	"connectrpc.com/connect"
	"google.golang.org/protobuf/proto"

	v1 "browser-stream-server/examples/go/gen/streamserver/v1"
)

// Capabilities are those of an endpoint, and of a listener.
var Capabilities = &v1.Capabilities{
	Features: []v1.Feature{v1.Feature_FEATURE_CREDIT, v1.Feature_FEATURE_ACK, v1.Feature_FEATURE_RESUME},
}

const windowBytes = 1048576

type state int

const (
	attaching state = iota // the first leg is not opened yet
	attached
	suspended
	closed // it ended well
	failed
)

// Error is why a stream failed. So many messages have reached the peer, and no others if the number is final.
type Error struct {
	Code      connect.Code
	Failure   v1.Failure
	Reason    string
	Delivered int
	Final     bool
}

func (e *Error) Error() string {
	more := "perhaps more"
	if e.Final {
		more = "no more"
	}
	return fmt.Sprintf("%v %v %s (%d messages have arrived, %s)", e.Code, e.Failure, e.Reason, e.Delivered, more)
}

// response is what comes on a leg: a ConnectResponse or an AcceptResponse.
type response interface {
	GetOpened() *v1.Opened
	GetFrame() *v1.Frame
	GetSuspended() *v1.Suspended
	GetResumed() *v1.Resumed
	GetDraining() *v1.Draining
}

// endpoint is one endpoint of a stream, without a clock and without a network. It has one leg after the other: nextOpen
// begins a leg, receive takes what the relay says on it, take gives the frames to send on it, and completeLeg, loseLeg
// and refuseLeg say how it ended.
type endpoint struct {
	outgoing
	incoming
	state         state
	err           *Error
	wasOpened     bool // the present leg
	ready         bool // whether the present leg may carry frames
	saysAgain     bool
	graceMs       uint32
	open          *v1.Open
	peer          *v1.Capabilities // nil until a client was accepted
	generation    int
	maxFrameBytes uint32
	unsaidReset   *v1.Reset
}

// newEndpoint takes a client's name, or the stream_id and the leg_token of an offer. With the offer a listener knows
// the capabilities of its peer and, from Registered, the relay's grace period.
func newEndpoint(open *v1.Open, peer *v1.Capabilities, graceMs uint32, windowBytes uint64) *endpoint {
	return &endpoint{
		outgoing:   outgoing{credit: initialCredit},
		incoming:   incoming{granted: initialCredit, window: windowBytes},
		open:       open,
		peer:       peer,
		graceMs:    graceMs,
		generation: -1,
	}
}

// GraceMs is how long the relay keeps a stream for an endpoint without a leg: 0 if it does not.
func GraceMs(limits *v1.Limits) uint32 {
	if !slices.Contains(limits.GetFeatures(), v1.Feature_FEATURE_RESUME) {
		return 0
	}
	return limits.GraceMs
}

func (e *endpoint) over() bool {
	return e.state >= closed
}

func (e *endpoint) resumable() bool {
	return e.graceMs > 0 && (e.peer == nil || slices.Contains(e.peer.Features, v1.Feature_FEATURE_RESUME))
}

// nextOpen returns the first message of the next leg.
func (e *endpoint) nextOpen() *v1.Open {
	e.generation++
	e.wasOpened, e.ready = false, false
	open := proto.CloneOf(e.open)
	open.Capabilities = Capabilities
	if e.generation > 0 {
		open.Resume = &v1.Resume{ReceivedSequence: e.incoming.sequence, Generation: uint32(e.generation)}
	}
	return open
}

// receive takes what comes on the newest leg.
func (e *endpoint) receive(response response) {
	if accepting, ok := response.(interface{ GetAccepted() *v1.Accepted }); ok && accepting.GetAccepted() != nil {
		e.peer = accepting.GetAccepted().GetCapabilities()
		e.open.Name, e.open.Metadata, e.open.WaitForListenerMs = "", nil, 0
	}
	if opened := response.GetOpened(); opened != nil {
		e.wasOpened = true
		e.open.StreamId, e.open.LegToken = opened.StreamId, opened.LegToken
		e.graceMs, e.maxFrameBytes = GraceMs(opened.Limits), opened.Limits.MaxFrameBytes
		if e.generation > 0 {
			e.dropsGaps = true
		} else {
			e.ready = true
			e.set(attached)
		}
	}
	if response.GetSuspended() != nil {
		e.ready = false
		e.set(suspended)
	}
	if resumed := response.GetResumed(); resumed != nil {
		e.acknowledge(resumed.ReceivedSequence)
		e.rewind()
		e.ready, e.saysAgain = true, true
		e.set(attached)
		e.settle()
	}
	if frame := response.GetFrame(); frame != nil && !e.over() {
		e.receiveFrame(frame)
	}
}

func (e *endpoint) receiveFrame(frame *v1.Frame) {
	known := e.acknowledge(frame.Ack)
	if reset := frame.Reset_; reset != nil {
		e.fail(connect.Code(reset.Code), reset.Failure, reset.Reason, frame.Ack > 0)
		return
	}
	if !known {
		e.reset(violation("an ack for what was never sent"))
		return
	}
	e.credit = max(e.credit, frame.Credit)
	if broken := e.incoming.take(frame); broken != nil {
		e.reset(broken)
	}
	e.settle()
}

// reset ends the stream: take gives the frame that says so, if there is a leg.
func (e *endpoint) reset(reset *v1.Reset) {
	if !e.over() {
		e.unsaidReset = reset
		e.fail(connect.Code(reset.Code), reset.Failure, reset.Reason, false)
	}
}

// rejectRequest ends the stream without a leg.
func (e *endpoint) rejectRequest(reset *v1.Reset) *v1.RejectRequest {
	return &v1.RejectRequest{
		StreamId:         e.open.StreamId,
		LegToken:         e.open.LegToken,
		Code:             reset.Code,
		Reason:           reset.Reason,
		Failure:          reset.Failure,
		ReceivedSequence: e.incoming.sequence,
	}
}

// take returns the next frame for the leg, or nil if there is nothing to say.
func (e *endpoint) take() *v1.Frame {
	if e.unsaidReset != nil && e.wasOpened {
		frame := &v1.Frame{Reset_: e.unsaidReset, Ack: e.incoming.sequence}
		e.unsaidReset = nil
		return frame
	}
	if !e.ready || e.state == failed {
		return nil
	}
	frame := &v1.Frame{}
	if taken := e.outgoing.take(e.maxFrameBytes); taken != nil {
		frame = &v1.Frame{Sequence: taken.Sequence, Messages: taken.Messages, Fin: taken.Fin}
	} else if !e.saysAgain && !e.mustSay() {
		return nil
	} else if e.saysAgain && e.done() {
		frame.Sequence, frame.Fin = e.fin, true // for a relay that has not seen it
	}
	e.say(frame, e.saysAgain)
	e.saysAgain = false
	e.settle()
	return frame
}

// ackWaits returns whether an ack is owed and waits for a frame to go along with.
func (e *endpoint) ackWaits() bool {
	return e.ready && e.owesAck()
}

// saidAll returns whether the request of the present leg can end.
func (e *endpoint) saidAll() bool {
	if e.state == closed {
		return e.ready && !e.saysAgain
	}
	return e.state == failed && e.unsaidReset == nil
}

// completeLeg is for a call that the relay has ended without an error, which is no good end before both fins.
func (e *endpoint) completeLeg() {
	if !e.over() {
		e.loseLeg("the relay has ended the call too early")
	}
}

// loseLeg is for a leg that ended without a last word. A client that was never answered has no stream yet.
func (e *endpoint) loseLeg(reason string) {
	e.wasOpened, e.ready = false, false
	if e.resumable() && e.open.StreamId != "" {
		e.set(suspended)
	} else {
		e.fail(connect.CodeUnavailable, v1.Failure_FAILURE_LEG_LOST, reason, false)
	}
}

// refuseLeg is for a call of the newest leg that ended with an error.
func (e *endpoint) refuseLeg(code connect.Code, reason string, detail *v1.FailureDetail) {
	if IsBreak(code, detail, e.wasOpened) && (e.resumable() || detail == nil) {
		e.loseLeg(reason)
		return
	}
	e.wasOpened, e.ready = false, false
	e.acknowledge(detail.GetReceivedSequence())
	if e.done() && e.finished {
		e.set(closed) // Only the last ack was missing.
	}
	e.fail(code, detail.GetFailure(), reason, false)
}

// IsBreak returns whether it makes sense to try again after a call that ended with an error: not if the relay said why,
// nor for a code that somebody on the way gives on purpose. No broken connection has one of those.
func IsBreak(code connect.Code, detail *v1.FailureDetail, wasOpened bool) bool {
	switch detail.GetFailure() {
	case v1.Failure_FAILURE_DRAINING:
		return true
	case v1.Failure_FAILURE_LIMIT_REACHED:
		return !wasOpened
	}
	stated := []connect.Code{
		connect.CodeInvalidArgument, connect.CodeNotFound, connect.CodeAlreadyExists, connect.CodePermissionDenied,
		connect.CodeFailedPrecondition, connect.CodeOutOfRange, connect.CodeUnauthenticated,
	}
	return detail == nil && !slices.Contains(stated, code)
}

// giveUp is for the end of the grace period.
func (e *endpoint) giveUp() {
	e.fail(connect.CodeUnavailable, v1.Failure_FAILURE_LEG_LOST, "the relay cannot be reached", false)
}

func (e *endpoint) fail(code connect.Code, failure v1.Failure, reason string, final bool) {
	if !e.over() {
		final = final || e.acked == e.outgoing.sequence
		e.err = &Error{Code: code, Failure: failure, Reason: reason, Delivered: e.delivered, Final: final}
		e.state = failed
	}
}

func (e *endpoint) settle() {
	if e.done() && e.finished && !e.owesAck() {
		e.set(closed)
	}
}

func (e *endpoint) set(state state) {
	if !e.over() {
		e.state = state
	}
}
