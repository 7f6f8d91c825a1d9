package awskms

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"sync"

	"github.com/aws/aws-sdk-go-v2/service/kms/schemas"
	"github.com/aws/smithy-go"
	smithyhttp "github.com/aws/smithy-go/transport/http"
	"github.com/aws/smithy-go/transport/http/protocol/awsjson"
)

// maxAnswer bounds an answer in bytes. A description with thirty replicas takes about 5 KiB.
const maxAnswer = 32 << 10

// errTooLong: no operation used here answers at such length.
var errTooLong = fmt.Errorf("the answer is longer than %d bytes", maxAnswer)

// protocol is the SDK's protocol for one call, which remembers the buffers that plaintext went through. The SDK's own
// is shared by all calls, and keeps answers in a pool until others overwrite them.
type protocol struct {
	smithyhttp.ClientProtocol
	request *requestBody
	answers [][]byte
}

func newProtocol() *protocol {
	return &protocol{ClientProtocol: awsjson.New11(schemas.TrentService)}
}

// SerializeRequest puts the request into a body that can be cleared.
func (p *protocol) SerializeRequest(ctx context.Context, op *smithy.OperationSchema, in smithy.Serializable, req *smithyhttp.Request) error {
	if err := p.ClientProtocol.SerializeRequest(ctx, op, in, req); err != nil {
		return err
	}
	stream, ok := req.GetStream().(io.WriterTo)
	if !ok {
		return errors.New("the SDK's request has another kind of body than expected")
	}
	var b borrowed
	if _, err := stream.WriteTo(&b); err != nil {
		return err
	}
	p.request = &requestBody{data: b.data, reader: bytes.NewReader(b.data)}
	with, err := req.SetStream(p.request)
	if err != nil {
		return err
	}
	*req = *with
	return nil
}

// DeserializeResponse reads the answer once, in one piece, so that the SDK makes no copy that is out of reach.
func (p *protocol) DeserializeResponse(
	ctx context.Context, op *smithy.OperationSchema, types *smithy.TypeRegistry, resp *smithyhttp.Response, out smithy.Deserializable,
) error {
	buffer := make([]byte, maxAnswer)
	p.answers = append(p.answers, buffer)
	n, err := io.ReadFull(resp.Body, buffer)
	switch {
	case err == nil:
		return &smithy.DeserializationError{Err: errTooLong}
	case !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF):
		return err
	}
	body := resp.Body
	defer func() { resp.Body = body }()
	resp.Body = io.NopCloser(&answerBody{protocol: p, left: buffer[:n]})
	return p.ClientProtocol.DeserializeResponse(ctx, op, types, resp, out)
}

// clear overwrites what the call sent and received.
func (p *protocol) clear() {
	if p.request != nil {
		p.request.clear()
	}
	for _, b := range p.answers {
		clear(b)
	}
}

// borrowed takes hold of the slice behind a bytes.Reader, which hands it to Write as it is.
type borrowed struct{ data []byte }

func (b *borrowed) Write(p []byte) (int, error) {
	b.data = p
	return len(p), nil
}

// requestBody can be cleared while the transport still holds it: that may be after the call has returned. It has no WriteTo:
// there are copies only, and once the answer has begun, smithy ends a WriteTo that still runs with an error, over which the
// transport gives up the connection that the answer comes through.
type requestBody struct {
	mu     sync.Mutex
	reader *bytes.Reader
	data   []byte
}

func (b *requestBody) Read(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.reader.Read(p)
}

func (b *requestBody) Seek(offset int64, whence int) (int64, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.reader.Seek(offset, whence)
}

func (b *requestBody) clear() {
	b.mu.Lock()
	defer b.mu.Unlock()
	clear(b.data)
	b.reader.Reset(nil)
}

// answerBody gives everything at once and remembers where it went.
type answerBody struct {
	protocol *protocol
	left     []byte
}

func (b *answerBody) Read(p []byte) (int, error) {
	n := copy(p, b.left)
	b.protocol.answers = append(b.protocol.answers, p[:n])
	b.left = b.left[n:]
	if len(b.left) == 0 {
		return n, io.EOF
	}
	return n, nil
}
