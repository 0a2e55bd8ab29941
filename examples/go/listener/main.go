// Listener listens on a name and sends every message of every client back to it.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"sync"
	"syscall"

	"connectrpc.com/connect"

	v1 "browser-stream-server/examples/go/gen/streamserver/v1"
	"browser-stream-server/examples/go/gen/streamserver/v1/streamserverv1connect"
	"browser-stream-server/examples/go/internal/relay"
)

func main() {
	if len(os.Args) < 3 {
		fmt.Fprintln(os.Stderr, "usage: listener RELAY NAME [PASSWORD]")
		os.Exit(2)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	context.AfterFunc(ctx, func() { os.Exit(130) })
	if err := listen(relay.NewClient(os.Args[1]), os.Args[2], os.Args[3:]); err != nil {
		fmt.Fprintln(os.Stderr, relay.Describe(err))
		os.Exit(1)
	}
}

// listen returns when the lease has ended, and with it every stream, or when the relay is lost. The password, if any,
// is the only element.
func listen(client streamserverv1connect.RelayServiceClient, name string, password []string) error {
	events, err := relay.Listen(client, &v1.ListenRequest{Name: name})
	if err != nil {
		return err
	}
	var streams sync.WaitGroup
	for events.Receive() {
		event := events.Msg()
		if event.GetRegistered() != nil {
			fmt.Println("listening")
		}
		if offer := event.GetOffer(); offer != nil {
			streams.Go(func() { take(client, offer, password) })
		}
	}
	if !events.Lost() {
		streams.Wait()
	}
	return events.Err()
}

func take(client streamserverv1connect.RelayServiceClient, offer *v1.Offer, password []string) {
	said, handle := "ended", echo
	if len(password) > 0 && offer.Metadata["password"] != password[0] {
		said, handle = "declined", decline
	}
	if err := handle(client, offer); err != nil {
		failure := relay.Describe(err)
		fmt.Println("ended", failure.Code, failure.Failure)
		return
	}
	fmt.Println(said)
}

func decline(client streamserverv1connect.RelayServiceClient, offer *v1.Offer) error {
	_, err := client.Reject(context.Background(), connect.NewRequest(&v1.RejectRequest{
		StreamId: offer.StreamId,
		LegToken: offer.LegToken,
		Code:     uint32(connect.CodePermissionDenied),
		Reason:   "wrong password",
	}))
	return err
}
