package main

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"

	v1 "browser-stream-server/examples/go/gen/streamserver/v1"
)

const (
	messageCost = 16 // of each message, beside its data
	chunkBytes  = 32768
)

// input sends standard input: a message for each line, or, if it is binary, for each chunk.
type input struct {
	stream   *bidiStream
	limits   *v1.Limits
	binary   bool
	sequence uint64
}

// send ends early if the call does: then receiving says why.
func (i *input) send() error {
	if err := i.sendMessage([]byte("hello from go"), true); err != nil {
		return err
	}
	reader := bufio.NewReader(os.Stdin)
	for {
		data, err := i.read(reader)
		if len(data) > 0 || err == nil {
			if err := i.sendMessage(data, !i.binary); err != nil {
				return err
			}
		}
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
	}
	if err := i.sendFrame(&v1.Frame{Fin: true}); err != nil {
		return err
	}
	return i.stream.CloseRequest()
}

func (i *input) read(reader *bufio.Reader) ([]byte, error) {
	if i.binary {
		data := make([]byte, chunkBytes)
		count, err := reader.Read(data)
		return data[:count], err
	}
	line, err := reader.ReadBytes('\n')
	return bytes.TrimSuffix(line, []byte("\n")), err
}

// sendMessage cuts a message that is too large for a frame into parts.
func (i *input) sendMessage(data []byte, text bool) error {
	for {
		part := data[:min(len(data), int(i.limits.MaxFrameBytes)-messageCost)]
		data = data[len(part):]
		message := &v1.Message{Data: part, Text: text, More: len(data) > 0}
		if err := i.sendFrame(&v1.Frame{Messages: []*v1.Message{message}}); err != nil || !message.More {
			return err
		}
	}
}

func (i *input) sendFrame(frame *v1.Frame) error {
	i.sequence++
	frame.Sequence = i.sequence
	return i.stream.Send(&v1.ConnectRequest{Message: &v1.ConnectRequest_Frame{Frame: frame}})
}
