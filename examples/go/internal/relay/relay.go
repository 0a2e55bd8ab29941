// Package relay has what the listener and the client both need: a client of the relay's, and what its errors say.
package relay

import (
	"errors"
	"fmt"
	"net/http"

	"connectrpc.com/connect"

	v1 "browser-stream-server/examples/go/gen/streamserver/v1"
	"browser-stream-server/examples/go/gen/streamserver/v1/streamserverv1connect"
)

// NewClient speaks the Connect protocol over HTTP/2 without TLS, which full duplex needs.
func NewClient(address string) streamserverv1connect.RelayServiceClient {
	protocols := new(http.Protocols)
	protocols.SetUnencryptedHTTP2(true)
	httpClient := &http.Client{Transport: &http.Transport{Protocols: protocols}}
	return streamserverv1connect.NewRelayServiceClient(httpClient, "http://"+address)
}

// ResetError is what the other side's reset would be as an error of the call.
func ResetError(reset *v1.Reset) error {
	code := connect.Code(reset.Code)
	if code < connect.CodeCanceled || code > connect.CodeUnauthenticated {
		code = connect.CodeUnknown
	}
	err := connect.NewError(code, errors.New(reset.Reason))
	if detail, detailErr := connect.NewErrorDetail(&v1.FailureDetail{Failure: reset.Failure}); detailErr == nil {
		err.AddDetail(detail)
	}
	return err
}

// Description says of an error: the status code, the protocol's own failure, and a message for a person.
type Description struct {
	Code    connect.Code
	Failure v1.Failure
	Message string
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
			description.Failure = failureDetail.Failure
		}
	}
	return description
}
