package resume

import (
	"context"
	"fmt"
	"sync"
	"time"

	"connectrpc.com/connect"

	v1 "browser-stream-server/examples/go/gen/streamserver/v1"
	"browser-stream-server/examples/go/internal/relay"
)

// Lease keeps a name: it takes the lease up again when the call of Listen breaks.
type Lease struct {
	address string
	request *v1.ListenRequest
	limits  *v1.Limits
	mutex   sync.Mutex
	streams map[string]bool // the offers that were taken and have not ended
}

func NewLease(address, name string) *Lease {
	request := &v1.ListenRequest{Name: name, Capabilities: Capabilities}
	return &Lease{address: address, request: request, streams: map[string]bool{}}
}

// Listen calls take for each offer, in a goroutine, and returns when the name is given back or was never given.
func (l *Lease) Listen(take func(*v1.Offer, *v1.Limits)) error {
	for tries := 0; ; tries++ {
		how, err := l.listenOnce(take)
		if err != nil || how == completed {
			return err
		}
		if how != neverOpened {
			tries = 0
		}
		if how != drained {
			time.Sleep(Backoff(tries))
		}
	}
}

// Unlisten gives the name back.
func (l *Lease) Unlisten() {
	l.mutex.Lock()
	request := &v1.UnlistenRequest{LeaseId: l.request.LeaseId, LeaseToken: l.request.LeaseToken}
	l.mutex.Unlock()
	ctx, cancel := context.WithTimeout(context.Background(), attachTimeout)
	defer cancel()
	_, _ = relay.NewClient(l.address).Unlisten(ctx, connect.NewRequest(request))
}

func (l *Lease) listenOnce(take func(*v1.Offer, *v1.Limits)) (ending, error) {
	client, disconnect := relay.NewConnection(l.address)
	defer disconnect()
	if l.request.LeaseId != "" {
		l.request.Generation++
	}
	how := neverOpened
	events, err := relay.Listen(client, l.request)
	if err != nil {
		return how, l.judge(events, err)
	}
	defer events.Cancel()
	for events.Receive() {
		event := events.Msg()
		if registered := event.GetRegistered(); registered != nil {
			how = broken
			l.register(registered)
		}
		if offer := event.GetOffer(); offer != nil {
			l.offer(offer, take)
		}
		if event.GetDraining() != nil {
			return drained, nil
		}
	}
	if events.Err() == nil {
		return completed, nil
	}
	return how, l.judge(events, events.Err())
}

func (l *Lease) register(registered *v1.Registered) {
	l.mutex.Lock()
	defer l.mutex.Unlock()
	if l.request.LeaseId == "" {
		fmt.Println("listening")
	}
	// Offers are taken at once, so there are none to forget that wait no more.
	l.request.LeaseId, l.request.LeaseToken, l.limits = registered.LeaseId, registered.LeaseToken, registered.Limits
}

func (l *Lease) offer(offer *v1.Offer, take func(*v1.Offer, *v1.Limits)) {
	l.mutex.Lock()
	defer l.mutex.Unlock()
	if l.streams[offer.StreamId] {
		return
	}
	l.streams[offer.StreamId] = true
	go func() {
		take(offer, l.limits)
		l.mutex.Lock()
		defer l.mutex.Unlock()
		delete(l.streams, offer.StreamId)
	}()
}

// judge returns the error unless it makes sense to listen again.
func (l *Lease) judge(events *relay.Listening, err error) error {
	l.mutex.Lock()
	defer l.mutex.Unlock()
	description := relay.Describe(err)
	if l.request.LeaseId == "" {
		return err
	}
	switch description.Failure {
	case v1.Failure_FAILURE_LEASE_GONE, v1.Failure_FAILURE_TOKEN_INVALID:
		l.request.LeaseId, l.request.LeaseToken, l.request.Generation = "", "", 0
		return nil
	}
	if events.Lost() || IsBreak(description.Code, description.Detail, false) {
		return nil
	}
	return err
}
