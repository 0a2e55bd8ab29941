package main

import (
	"os"

	v1 "browser-stream-server/examples/go/gen/streamserver/v1"
)

// output prints messages: text as a line, binary as it is. With --binary, text goes to standard error.
type output struct {
	binary bool
	// The message that comes in parts; the first decides whether it is text.
	data    []byte
	text    bool
	partial bool
}

func (o *output) print(message *v1.Message) error {
	if !o.partial {
		o.data, o.text = nil, message.Text
	}
	o.data = append(o.data, message.Data...)
	o.partial = message.More
	if o.partial {
		return nil
	}
	file := os.Stdout
	if o.text {
		o.data = append(o.data, '\n')
		if o.binary {
			file = os.Stderr
		}
	}
	_, err := file.Write(o.data)
	return err
}
