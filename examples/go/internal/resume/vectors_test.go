package resume

import (
	"encoding/hex"
	"encoding/json"
	"os"
	"slices"
	"testing"

	"connectrpc.com/connect"
	"google.golang.org/protobuf/proto"

	v1 "browser-stream-server/examples/go/gen/streamserver/v1"
)

type vectorMessage struct{ Type, Bytes string }

type vectorStep struct {
	At, Does, Text, Reason, Failure string
	Leg, Code, Delivered            int
	Final                           bool
	Message, Detail                 vectorMessage
}

type vector struct {
	Title       string
	WindowBytes map[string]uint64 `json:"window_bytes"`
	Steps       []vectorStep
}

var outcomes = []string{"sends", "reads", "reads the end", "is suspended", "is resumed", "closes", "fails"}

func TestVectors(t *testing.T) {
	text, err := os.ReadFile("../../../../docs/resume-vectors.json")
	if err != nil {
		t.Fatal(err)
	}
	var vectors []vector
	if err := json.Unmarshal(text, &vectors); err != nil {
		t.Fatal(err)
	}
	for _, vector := range vectors {
		t.Run(vector.Title, func(t *testing.T) {
			players := map[string]*player{}
			for side, window := range vector.WindowBytes {
				open := &v1.Open{}
				if side == "client" {
					open.Name = "demo"
				}
				players[side] = &player{T: t, endpoint: newEndpoint(open, nil, 0, window), leg: -1}
			}
			for number, step := range vector.Steps {
				players[step.At].play(step)
				if t.Failed() {
					t.Fatalf("step %d: %+v", number, step)
				}
			}
		})
	}
}

// player is an endpoint at one of the two sides of a vector.
type player struct {
	*testing.T
	endpoint *endpoint
	leg      int
}

func (p *player) play(step vectorStep) {
	e := p.endpoint
	if e.state == attached && !slices.Contains(outcomes, step.Does) {
		// What an endpoint sends stands behind what makes it send.
		p.equal("frame", e.take(), (*v1.Frame)(nil))
	}
	switch step.Does {
	case "is offered":
		offer := decode(p, step.Message, &v1.Offer{})
		e.open.StreamId, e.open.LegToken, e.peer = offer.StreamId, offer.LegToken, offer.Capabilities
	case "writes":
		e.write([]byte(step.Text), true)
	case "finishes":
		e.finishing = true
	case "resets":
		e.reset(&v1.Reset{Code: uint32(step.Code), Reason: step.Reason})
	case "acknowledges":
		e.asked = true
	case "breaks":
		e.loseLeg("")
	case "gets":
		p.gets(step)
	case "is refused":
		if step.Leg == p.leg {
			e.refuseLeg(connect.Code(step.Code), "", decode(p, step.Detail, &v1.FailureDetail{}))
		}
	case "completes":
		e.completeLeg()
		p.equal("over", e.over(), true)
	case "sends":
		p.sends(step)
	case "calls":
		expected := decode(p, step.Message, &v1.RejectRequest{})
		request := e.rejectRequest(e.unsaidReset)
		p.equal("request", proto.Equal(request, expected), true)
	case "reads":
		message := e.read()
		p.equal("message", string(message.Data), step.Text)
		p.equal("text", message.Text, true)
	case "reads the end":
		p.equal("finished", e.finished && len(e.messages) == 0, true)
	case "is suspended":
		p.equal("state", e.state, suspended)
	case "is resumed":
		p.equal("state", e.state, attached)
	case "closes":
		p.equal("state", e.state, closed)
	case "fails":
		failure := v1.Failure(v1.Failure_value[step.Failure])
		expected := Error{connect.Code(step.Code), failure, e.err.Reason, step.Delivered, step.Final}
		p.equal("error", *e.err, expected)
	default:
		p.Errorf("there is no %q", step.Does)
	}
}

func (p *player) gets(step vectorStep) {
	if step.Message.Type == "AcceptResponse" {
		p.endpoint.receive(decode(p, step.Message, &v1.AcceptResponse{}))
	} else {
		p.endpoint.receive(decode(p, step.Message, &v1.ConnectResponse{}))
	}
}

func (p *player) sends(step vectorStep) {
	// The requests of both RPCs have the same fields.
	expected := decode(p, step.Message, &v1.ConnectRequest{})
	if open := expected.GetOpen(); open != nil {
		p.leg++
		p.equal("open", proto.Equal(p.endpoint.nextOpen(), open), true)
	} else {
		frame, expected := p.endpoint.take(), expected.GetFrame()
		p.equal("credit", frame.GetCredit() >= expected.Credit, true)
		if frame != nil {
			frame.Credit = expected.Credit
		}
		if frame.GetReset_().GetFailure() != 0 {
			frame.Reset_.Reason = expected.Reset_.Reason
		}
		if !proto.Equal(frame, expected) {
			p.Errorf("%v instead of %v", frame, expected)
		}
	}
	p.equal("leg", p.leg, step.Leg)
}

func (p *player) equal(what string, actual, expected any) {
	if actual != expected {
		p.Errorf("%s: %v instead of %v", what, actual, expected)
	}
}

func decode[M proto.Message](p *player, described vectorMessage, message M) M {
	bytes, err := hex.DecodeString(described.Bytes)
	if err == nil {
		err = proto.Unmarshal(bytes, message)
	}
	if err != nil {
		p.Error(err)
	}
	return message
}
