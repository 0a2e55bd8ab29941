// Resuming-listener is like listener, but its streams and its name outlive their connections.
package main

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"connectrpc.com/connect"

	v1 "browser-stream-server/examples/go/gen/streamserver/v1"
	"browser-stream-server/examples/go/internal/relay"
	"browser-stream-server/examples/go/internal/resume"
)

func main() {
	if len(os.Args) < 3 {
		fmt.Fprintln(os.Stderr, "usage: resuming-listener RELAY NAME [PASSWORD]")
		os.Exit(2)
	}
	address, name, password := os.Args[1], os.Args[2], os.Args[3:]
	lease := resume.NewLease(address, name)
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	context.AfterFunc(ctx, func() {
		lease.Unlisten()
		os.Exit(130)
	})
	err := lease.Listen(func(offer *v1.Offer, limits *v1.Limits) { take(address, offer, limits, password) })
	if err != nil && ctx.Err() == nil {
		fmt.Fprintln(os.Stderr, relay.Describe(err))
		os.Exit(1)
	}
	select {} // The program ends when the name is given back.
}

func take(address string, offer *v1.Offer, limits *v1.Limits, password []string) {
	if len(password) > 0 && offer.Metadata["password"] != password[0] {
		request := &v1.RejectRequest{
			StreamId: offer.StreamId,
			LegToken: offer.LegToken,
			Code:     uint32(connect.CodePermissionDenied),
			Reason:   "wrong password",
		}
		relay.NewClient(address).Reject(context.Background(), connect.NewRequest(request))
		fmt.Println("declined")
		return
	}
	err := echo(resume.Accept(address, offer, limits))
	var streamErr *resume.Error
	if errors.As(err, &streamErr) {
		fmt.Println("ended", streamErr.Code, streamErr.Failure)
		return
	}
	fmt.Println("ended")
}

// echo sends every message of the client back to it, until the client's fin.
func echo(stream *resume.Stream) error {
	stream.Write([]byte("hello from go"), true)
	count, size, hash := 0, 0, sha256.New()
	for {
		message, err := stream.Read()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return err
		}
		count++
		size += len(message.Data)
		hash.Write(message.Data)
		stream.Write(message.Data, message.Text)
	}
	summary := fmt.Sprintf("%d messages, %d bytes, sha256 %x", count, size, hash.Sum(nil))
	stream.Write([]byte(summary), true)
	stream.Finish()
	return stream.Close()
}
