package redistest

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
)

// ReplyError is an error that a server replied with.
type ReplyError string

func (e ReplyError) Error() string { return string(e) }

// writeCommand writes a command as the Redis protocol has it.
func writeCommand(w io.Writer, args []string) error {
	var b strings.Builder
	fmt.Fprintf(&b, "*%d\r\n", len(args))
	for _, arg := range args {
		fmt.Fprintf(&b, "$%d\r\n%s\r\n", len(arg), arg)
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// readReply reads a reply of RESP 2: a string, an int64, nil, a ReplyError or a
// []any of those.
func readReply(r *bufio.Reader) (any, error) {
	line, err := r.ReadString('\n')
	if err != nil {
		return nil, err
	}
	line = strings.TrimSuffix(line, "\r\n")
	if line == "" {
		return nil, errors.New("an empty line is no reply")
	}
	switch kind, rest := line[0], line[1:]; kind {
	case '+':
		return rest, nil
	case '-':
		return ReplyError(rest), nil
	case ':':
		return strconv.ParseInt(rest, 10, 64)
	case '$', '*':
		n, err := strconv.Atoi(rest)
		if err != nil {
			return nil, err
		}
		if n < 0 {
			return nil, nil
		}
		if kind == '$' {
			bulk := make([]byte, n+len("\r\n"))
			_, err := io.ReadFull(r, bulk)
			return string(bulk[:n]), err
		}
		array := make([]any, n)
		for i := range array {
			if array[i], err = readReply(r); err != nil {
				return nil, err
			}
		}
		return array, nil
	default:
		return nil, fmt.Errorf("not a reply of a Redis server: %q", line)
	}
}
