package main

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"

	"connectrpc.com/connect"

	v1 "browser-stream-server/examples/go/gen/streamserver/v1"
	"browser-stream-server/examples/go/gen/streamserver/v1/streamserverv1connect"
	"browser-stream-server/examples/go/internal/relay"
)

// leg is the listener's end of one stream.
type leg struct {
	*connect.BidiStreamForClient[v1.AcceptRequest, v1.AcceptResponse]
	sequence uint64
}

// send blocks until the transport takes the request: a client that does not read its echo is not read either.
func (l *leg) send(request *v1.AcceptRequest) error {
	err := l.Send(request)
	if errors.Is(err, io.EOF) {
		return nil // The call has ended: Receive says why.
	}
	return err
}

func (l *leg) sendFrame(frame *v1.Frame) error {
	l.sequence++
	frame.Sequence = l.sequence
	return l.send(&v1.AcceptRequest{Message: &v1.AcceptRequest_Frame{Frame: frame}})
}

func (l *leg) sendText(text string, fin bool) error {
	return l.sendFrame(&v1.Frame{Messages: []*v1.Message{{Data: []byte(text), Text: true}}, Fin: fin})
}

// echo takes an offer and sends every message of the client back to it, until the client's fin.
func echo(client streamserverv1connect.RelayServiceClient, offer *v1.Offer) error {
	leg := &leg{BidiStreamForClient: client.Accept(context.Background())}
	defer leg.CloseResponse()
	open := &v1.Open{StreamId: offer.StreamId, LegToken: offer.LegToken}
	if err := leg.send(&v1.AcceptRequest{Message: &v1.AcceptRequest_Open{Open: open}}); err != nil {
		return err
	}
	if err := leg.sendText("hello from go", false); err != nil {
		return err
	}
	count, size, hash := 0, 0, sha256.New()
	for {
		response, err := leg.Receive()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		frame := response.GetFrame()
		if reset := frame.GetReset_(); reset != nil {
			return relay.ResetError(reset)
		}
		for _, message := range frame.GetMessages() {
			if !message.More {
				count++
			}
			size += len(message.Data)
			hash.Write(message.Data)
		}
		if messages := frame.GetMessages(); len(messages) > 0 {
			if err := leg.sendFrame(&v1.Frame{Messages: messages}); err != nil {
				return err
			}
		}
		if frame.GetFin() {
			summary := fmt.Sprintf("%d messages, %d bytes, sha256 %x", count, size, hash.Sum(nil))
			if err := leg.sendText(summary, true); err != nil {
				return err
			}
			if err := leg.CloseRequest(); err != nil {
				return err
			}
		}
	}
}
