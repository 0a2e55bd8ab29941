package resume

import (
	"context"

	"connectrpc.com/connect"

	v1 "browser-stream-server/examples/go/gen/streamserver/v1"
	"browser-stream-server/examples/go/gen/streamserver/v1/streamserverv1connect"
)

// call is the call of a leg: of Connect or of Accept.
type call interface {
	// send sends the open or the frame.
	send(open *v1.Open, frame *v1.Frame) error
	closeRequest() error
	receive() (response, error)
}

// dial begins a call.
type dial func(ctx context.Context, client streamserverv1connect.RelayServiceClient) call

type connectCall struct {
	*connect.BidiStreamForClient[v1.ConnectRequest, v1.ConnectResponse]
}

func dialConnect(ctx context.Context, client streamserverv1connect.RelayServiceClient) call {
	return connectCall{client.Connect(ctx)}
}

func (c connectCall) send(open *v1.Open, frame *v1.Frame) error {
	if open != nil {
		return c.Send(&v1.ConnectRequest{Message: &v1.ConnectRequest_Open{Open: open}})
	}
	return c.Send(&v1.ConnectRequest{Message: &v1.ConnectRequest_Frame{Frame: frame}})
}

func (c connectCall) closeRequest() error        { return c.CloseRequest() }
func (c connectCall) receive() (response, error) { return c.Receive() }

type acceptCall struct {
	*connect.BidiStreamForClient[v1.AcceptRequest, v1.AcceptResponse]
}

func dialAccept(ctx context.Context, client streamserverv1connect.RelayServiceClient) call {
	return acceptCall{client.Accept(ctx)}
}

func (c acceptCall) send(open *v1.Open, frame *v1.Frame) error {
	if open != nil {
		return c.Send(&v1.AcceptRequest{Message: &v1.AcceptRequest_Open{Open: open}})
	}
	return c.Send(&v1.AcceptRequest{Message: &v1.AcceptRequest_Frame{Frame: frame}})
}

func (c acceptCall) closeRequest() error        { return c.CloseRequest() }
func (c acceptCall) receive() (response, error) { return c.Receive() }
