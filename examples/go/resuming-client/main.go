// Resuming-client is like client, but its stream outlives its connections.
package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"slices"

	"connectrpc.com/connect"

	v1 "browser-stream-server/examples/go/gen/streamserver/v1"
	"browser-stream-server/examples/go/internal/resume"
)

const chunkBytes = 32768

func main() {
	isBinary := func(arg string) bool { return arg == "--binary" }
	binary := slices.ContainsFunc(os.Args, isBinary)
	args := slices.DeleteFunc(os.Args[1:], isBinary)
	if len(args) < 2 {
		fmt.Fprintln(os.Stderr, "usage: resuming-client RELAY NAME [PASSWORD] [--binary]")
		os.Exit(2)
	}
	open := &v1.Open{Name: args[1]}
	if len(args) > 2 {
		open.Metadata = map[string]string{"password": args[2]}
	}
	interrupted, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	stream := resume.Connect(args[0], open)
	context.AfterFunc(interrupted, func() {
		stop() // A second Ctrl-C does not wait.
		stream.Reset(connect.CodeCanceled, "interrupted")
		os.Exit(130)
	})
	go send(stream, binary)
	err := receive(stream, binary)
	if interrupted.Err() != nil {
		select {} // The program ends when the relay has been told.
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// send sends standard input: a message for each line, or, if it is binary, for each chunk.
func send(stream *resume.Stream, binary bool) {
	stream.Write([]byte("hello from go"), true)
	reader := bufio.NewReader(os.Stdin)
	for {
		data, err := read(reader, binary)
		if len(data) > 0 || err == nil {
			stream.Write(data, !binary)
		}
		if err != nil {
			break
		}
	}
	stream.Finish()
}

func read(reader *bufio.Reader, binary bool) ([]byte, error) {
	if binary {
		data := make([]byte, chunkBytes)
		count, err := reader.Read(data)
		return data[:count], err
	}
	line, err := reader.ReadBytes('\n')
	return bytes.TrimSuffix(line, []byte("\n")), err
}

// receive prints messages: text as a line, binary as it is. With --binary, text goes to standard error.
func receive(stream *resume.Stream, binary bool) error {
	for {
		message, err := stream.Read()
		if errors.Is(err, io.EOF) {
			return stream.Close()
		}
		if err != nil {
			return err
		}
		file, data := os.Stdout, message.Data
		if message.Text {
			data = append(data, '\n')
			if binary {
				file = os.Stderr
			}
		}
		if _, err := file.Write(data); err != nil {
			return err
		}
	}
}
