// Client connects to a name, sends standard input there, and prints what comes back.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"slices"

	"connectrpc.com/connect"

	v1 "browser-stream-server/examples/go/gen/streamserver/v1"
	"browser-stream-server/examples/go/internal/relay"
)

type bidiStream = connect.BidiStreamForClient[v1.ConnectRequest, v1.ConnectResponse]

func main() {
	isBinary := func(arg string) bool { return arg == "--binary" }
	binary := slices.ContainsFunc(os.Args, isBinary)
	args := slices.DeleteFunc(os.Args[1:], isBinary)
	if len(args) < 2 {
		fmt.Fprintln(os.Stderr, "usage: client RELAY NAME [PASSWORD] [--binary]")
		os.Exit(2)
	}
	open := &v1.Open{Name: args[1]}
	if len(args) > 2 {
		open.Metadata = map[string]string{"password": args[2]}
	}
	interrupted, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	stream := relay.NewClient(args[0]).Connect(context.Background())
	context.AfterFunc(interrupted, func() {
		stop() // A second Ctrl-C does not wait.
		stream.CloseResponse()
	})
	err := run(stream, open, binary)
	if interrupted.Err() != nil {
		stream.CloseResponse() // Returns when the relay has been told.
		os.Exit(130)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, relay.Describe(err))
		os.Exit(1)
	}
}

// run opens the stream, sends when the listener has accepted, and prints what comes until both sides have sent fin.
func run(stream *bidiStream, open *v1.Open, binary bool) error {
	err := stream.Send(&v1.ConnectRequest{Message: &v1.ConnectRequest_Open{Open: open}})
	if err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	var limits *v1.Limits
	output := output{binary: binary}
	for {
		response, err := stream.Receive()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		switch message := response.Message.(type) {
		case *v1.ConnectResponse_Opened:
			limits = message.Opened.Limits
		case *v1.ConnectResponse_Accepted:
			input := &input{stream: stream, limits: limits, binary: binary}
			go input.send()
		case *v1.ConnectResponse_Frame:
			if reset := message.Frame.Reset_; reset != nil {
				return relay.ResetError(reset)
			}
			for _, message := range message.Frame.Messages {
				if err := output.print(message); err != nil {
					return err
				}
			}
		}
	}
}
