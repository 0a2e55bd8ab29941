// Caller calls a calculator in a tab, by the protocol of Connect.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net/http"
	"os"

	"connectrpc.com/connect"

	calculator "browser-stream-server/examples/calculator/go/gen"
	"browser-stream-server/examples/calculator/go/gen/genconnect"
)

func main() {
	url := "http://localhost:5000"
	if len(os.Args) > 1 {
		url = os.Args[1]
	}
	// HTTP/2 without TLS, which streams in both directions at once need.
	protocols := new(http.Protocols)
	protocols.SetUnencryptedHTTP2(true)
	httpClient := &http.Client{Transport: &http.Transport{Protocols: protocols}}
	if err := call(context.Background(), genconnect.NewCalculatorServiceClient(httpClient, url)); err != nil {
		log.Fatal(err)
	}
}

func call(ctx context.Context, client genconnect.CalculatorServiceClient) error {
	added, err := client.Add(ctx, connect.NewRequest(&calculator.AddRequest{A: 1, B: 2}))
	if err != nil {
		return err
	}
	fmt.Println("add:", added.Msg.Sum)

	subscribed, cancel := context.WithCancel(ctx)
	defer cancel()
	multiples, err := client.Subscribe(subscribed, connect.NewRequest(&calculator.SubscribeRequest{Step: 5}))
	if err != nil {
		return err
	}
	for multiples.Receive() {
		fmt.Println("subscribe:", multiples.Msg().Sum)
		if multiples.Msg().Sum == 15 {
			break
		}
	}
	cancel()

	sum := client.Sum(ctx)
	for _, number := range []float64{1, 2, 3} {
		if err := sum.Send(&calculator.SumRequest{Number: number}); err != nil {
			return err
		}
	}
	summed, err := sum.CloseAndReceive()
	if err != nil {
		return err
	}
	fmt.Println("sum:", summed.Msg.Sum)

	accumulate := client.Accumulate(ctx)
	for _, number := range []float64{1, 2, 3} {
		if err := accumulate.Send(&calculator.AccumulateRequest{Number: number}); err != nil {
			return err
		}
		answer, err := accumulate.Receive()
		if err != nil {
			return err
		}
		fmt.Println("accumulate:", answer.Sum)
	}
	if err := accumulate.CloseRequest(); err != nil {
		return err
	}
	if _, err := accumulate.Receive(); !errors.Is(err, io.EOF) {
		return fmt.Errorf("the last sum is not the end: %w", err)
	}
	return nil
}
