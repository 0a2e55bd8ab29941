package resume

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"sync"
	"time"

	"connectrpc.com/connect"

	v1 "browser-stream-server/examples/go/gen/streamserver/v1"
	"browser-stream-server/examples/go/internal/relay"
)

const (
	minBackoff    = 100 * time.Millisecond
	maxBackoff    = 5 * time.Second
	ackDelay      = 25 * time.Millisecond
	attachTimeout = 20 * time.Second
	resetTimeout  = 250 * time.Millisecond
	linger        = 5 * time.Second
	highWater     = 262144 // Write waits while more bytes than this wait to be sent
)

// Backoff is how long to wait before the next try, after so many that failed.
func Backoff(tries int) time.Duration {
	return rand.N(min(maxBackoff, minBackoff<<min(tries, 10)))
}

// Stream keeps an endpoint attached to the relay: one call after the other, each on a connection of its own.
type Stream struct {
	address  string
	mutex    sync.Mutex // guards the endpoint
	changed  *sync.Cond
	endpoint *endpoint
	told     state
	acking   bool          // whether an ack is asked for soon
	done     chan struct{} // closed when there is no leg and none will be
}

// Connect opens a stream to a name.
func Connect(address string, open *v1.Open) *Stream {
	return start(address, newEndpoint(open, nil, 0, windowBytes), dialConnect)
}

// Accept takes an offer. The limits are those of Registered.
func Accept(address string, offer *v1.Offer, limits *v1.Limits) *Stream {
	open := &v1.Open{StreamId: offer.StreamId, LegToken: offer.LegToken}
	return start(address, newEndpoint(open, offer.Capabilities, GraceMs(limits), windowBytes), dialAccept)
}

func start(address string, endpoint *endpoint, dial dial) *Stream {
	stream := &Stream{address: address, endpoint: endpoint, told: attached, done: make(chan struct{})}
	stream.changed = sync.NewCond(&stream.mutex)
	go stream.stayAttached(dial)
	return stream
}

// Write returns when the message is written, and not much waits to be sent.
func (s *Stream) Write(data []byte, text bool) {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	for s.endpoint.queuedBytes > highWater && !s.endpoint.over() {
		s.changed.Wait()
	}
	s.endpoint.write(data, text)
	s.tell()
}

// Finish says that nothing more is written.
func (s *Stream) Finish() {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	s.endpoint.finishing = true
	s.tell()
}

// Read returns the next message, or io.EOF after the last one.
func (s *Stream) Read() (*Message, error) {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	e := s.endpoint
	for len(e.messages) == 0 && !e.finished && !e.over() {
		s.changed.Wait()
	}
	if e.err != nil {
		return nil, e.err
	}
	if len(e.messages) == 0 {
		return nil, io.EOF
	}
	defer s.tell()
	return e.read(), nil
}

// Close waits for the end of the stream, and returns why it did not end well.
func (s *Stream) Close() error {
	s.mutex.Lock()
	for !s.endpoint.over() {
		s.changed.Wait()
	}
	s.mutex.Unlock()
	select { // The last ack goes out, and the relay ends the call.
	case <-s.done:
	case <-time.After(linger):
	}
	if s.endpoint.err != nil {
		return s.endpoint.err
	}
	return nil
}

// Reset ends the stream at once, and returns when the relay has been told.
func (s *Stream) Reset(code connect.Code, reason string) {
	reset := reset(code, reason, v1.Failure_FAILURE_UNSPECIFIED)
	s.mutex.Lock()
	s.endpoint.reset(reset)
	hasLeg := s.endpoint.wasOpened
	request := s.endpoint.rejectRequest(reset)
	s.tell()
	s.mutex.Unlock()
	if hasLeg {
		select {
		case <-s.done:
			return
		case <-time.After(resetTimeout):
		}
	}
	ctx, cancel := context.WithTimeout(context.Background(), attachTimeout)
	defer cancel()
	// If this fails, the stream has ended before, or the relay is gone and ends it when the grace period is over.
	_, _ = relay.NewClient(s.address).Reject(ctx, connect.NewRequest(request))
}

func (s *Stream) stayAttached(dial dial) {
	defer close(s.done)
	lostAt := time.Now()
	for tries := 0; ; tries++ {
		how := s.runLeg(dial)
		if how != neverOpened {
			tries, lostAt = 0, time.Now()
		}
		s.mutex.Lock()
		e := s.endpoint
		if time.Since(lostAt) > time.Duration(e.graceMs)*time.Millisecond {
			e.giveUp()
		}
		s.tell()
		over := how == completed || e.state == failed
		s.mutex.Unlock()
		if over {
			return
		}
		if how != drained {
			time.Sleep(Backoff(tries))
		}
	}
}

type ending int

const (
	neverOpened ending = iota
	broken
	drained
	completed
)

func (s *Stream) runLeg(dial dial) ending {
	client, disconnect := relay.NewConnection(s.address)
	defer disconnect()
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	call := dial(ctx, client)
	deadline := time.AfterFunc(attachTimeout, cancel)
	defer deadline.Stop()
	s.mutex.Lock()
	open := s.endpoint.nextOpen()
	s.mutex.Unlock()
	go s.send(ctx, call, open)
	// The sender waits for changes, and the end of the call is one.
	defer context.AfterFunc(ctx, func() {
		s.mutex.Lock()
		defer s.mutex.Unlock()
		s.tell()
	})
	how := neverOpened
	for {
		response, err := call.receive()
		s.mutex.Lock()
		if err != nil {
			how = s.endLeg(how, err)
		} else {
			deadline.Stop()
			how = broken
			s.endpoint.receive(response)
			if response.GetDraining() != nil {
				s.endpoint.loseLeg("the relay is draining")
				how = drained
			}
		}
		s.tell()
		s.mutex.Unlock()
		if err != nil || how == drained {
			return how
		}
	}
}

func (s *Stream) endLeg(how ending, err error) ending {
	if !errors.Is(err, io.EOF) {
		description := relay.Describe(err)
		s.endpoint.refuseLeg(description.Code, description.Message, description.Detail)
		return how
	}
	s.endpoint.completeLeg()
	if s.endpoint.over() {
		return completed
	}
	return how
}

// send sends what the endpoint has to say on one leg. Sending fails if the call is over: receiving says why.
func (s *Stream) send(ctx context.Context, call call, open *v1.Open) {
	if call.send(open, nil) != nil {
		return
	}
	for {
		frame := s.nextFrame(ctx)
		if frame == nil {
			call.closeRequest()
			return
		}
		if call.send(nil, frame) != nil {
			return
		}
	}
}

// nextFrame waits for the next frame of a leg, and returns nil when there will be no other.
func (s *Stream) nextFrame(ctx context.Context) *v1.Frame {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	e := s.endpoint
	for ctx.Err() == nil {
		if frame := e.take(); frame != nil {
			s.tell() // Write may wait for room.
			return frame
		}
		if e.saidAll() {
			return nil
		}
		if e.ackWaits() && !s.acking {
			s.acking = true
			time.AfterFunc(ackDelay, func() {
				s.mutex.Lock()
				defer s.mutex.Unlock()
				s.acking, e.asked = false, true
				s.tell()
			})
		}
		s.changed.Wait()
	}
	return nil
}

// tell is called after each change: it wakes whoever waits for one, and tells a person of breaks.
func (s *Stream) tell() {
	if state := s.endpoint.state; state != s.told && (state == attached || state == suspended) {
		s.told = state
		fmt.Fprintln(os.Stderr, map[bool]string{true: "resumed", false: "suspended"}[state == attached])
	}
	s.changed.Broadcast()
}
