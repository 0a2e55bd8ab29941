// Package relay has what the listener and the client both need: a client of the relay's, and what its errors say.
package relay

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"connectrpc.com/connect"

	v1 "browser-stream-server/examples/go/gen/streamserver/v1"
	"browser-stream-server/examples/go/gen/streamserver/v1/streamserverv1connect"
)

// Heartbeat is how often relays say something on Listen by default.
const Heartbeat = 15 * time.Second

// silence is how long nothing may come from a relay before it counts as lost: two and a half heartbeats.
func silence(heartbeat time.Duration) time.Duration {
	return heartbeat * 5 / 2
}

// NewClient speaks the Connect protocol over HTTP/2 without TLS, which full duplex needs.
func NewClient(address string) streamserverv1connect.RelayServiceClient {
	client, _ := NewConnection(address)
	return client
}

// NewConnection returns a client with a connection of its own, and a function that closes it when no call is left.
func NewConnection(address string) (streamserverv1connect.RelayServiceClient, func()) {
	protocols := new(http.Protocols)
	protocols.SetUnencryptedHTTP2(true)
	// Asks whether a silent connection is still there, and gives it up after two and a half heartbeats in all.
	keepalive := &http.HTTP2Config{SendPingTimeout: Heartbeat, PingTimeout: silence(Heartbeat) - Heartbeat}
	httpClient := &http.Client{Transport: &http.Transport{Protocols: protocols, HTTP2: keepalive}}
	client := streamserverv1connect.NewRelayServiceClient(httpClient, "http://"+address)
	return client, httpClient.CloseIdleConnections
}

// Listening is a call of Listen that ends when the relay is silent for too long.
type Listening struct {
	*connect.ServerStreamForClient[v1.ListenResponse]
	ctx       context.Context
	cancel    context.CancelFunc
	heartbeat time.Duration
	deadline  *time.Timer
}

// Listen claims a name, or takes up a lease.
func Listen(client streamserverv1connect.RelayServiceClient, request *v1.ListenRequest) (*Listening, error) {
	ctx, cancel := context.WithCancel(context.Background())
	deadline := time.AfterFunc(silence(Heartbeat), cancel)
	events, err := client.Listen(ctx, connect.NewRequest(request))
	listening := &Listening{
		ServerStreamForClient: events, ctx: ctx, cancel: cancel, heartbeat: Heartbeat, deadline: deadline,
	}
	return listening, listening.orLost(err)
}

// Receive waits for the next event, and returns false if there is none.
func (l *Listening) Receive() bool {
	l.deadline.Reset(silence(l.heartbeat))
	defer l.deadline.Stop()
	if !l.ServerStreamForClient.Receive() {
		return false
	}
	if registered := l.Msg().GetRegistered(); registered != nil {
		l.heartbeat = time.Duration(registered.HeartbeatIntervalMs) * time.Millisecond
	}
	return true
}

// Err says why there is no further event; nil if the lease was given back.
func (l *Listening) Err() error {
	return l.orLost(l.ServerStreamForClient.Err())
}

// Cancel ends the call.
func (l *Listening) Cancel() {
	l.deadline.Stop()
	l.cancel()
}

// Lost says whether the relay was silent for too long. Nothing more comes on its streams either.
func (l *Listening) Lost() bool {
	return l.ctx.Err() != nil
}

func (l *Listening) orLost(err error) error {
	if !l.Lost() {
		return err
	}
	return newError(connect.CodeUnavailable, "the relay is silent", v1.Failure_FAILURE_LEG_LOST)
}

// ResetError is what the other side's reset would be as an error of the call.
func ResetError(reset *v1.Reset) error {
	code := connect.Code(reset.Code)
	if code < connect.CodeCanceled || code > connect.CodeUnauthenticated {
		code = connect.CodeUnknown
	}
	return newError(code, reset.Reason, reset.Failure)
}

func newError(code connect.Code, message string, failure v1.Failure) error {
	err := connect.NewError(code, errors.New(message))
	if detail, detailErr := connect.NewErrorDetail(&v1.FailureDetail{Failure: failure}); detailErr == nil {
		err.AddDetail(detail)
	}
	return err
}

// Description says of an error: the status code, the protocol's own failure, and a message for a person.
type Description struct {
	Code    connect.Code
	Failure v1.Failure
	Message string
	Detail  *v1.FailureDetail // nil if the error is none of the relay's own
}

func (d Description) String() string {
	return fmt.Sprint(d.Code, " ", d.Failure, " ", d.Message)
}

// Describe reads the FailureDetail that the relay attaches to its errors.
func Describe(err error) Description {
	var connectErr *connect.Error
	if !errors.As(err, &connectErr) {
		return Description{Code: connect.CodeUnknown, Message: err.Error()}
	}
	description := Description{Code: connectErr.Code(), Message: connectErr.Message()}
	for _, detail := range connectErr.Details() {
		value, _ := detail.Value()
		if failureDetail, ok := value.(*v1.FailureDetail); ok {
			description.Failure, description.Detail = failureDetail.Failure, failureDetail
		}
	}
	return description
}
