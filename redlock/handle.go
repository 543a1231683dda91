package redlock

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"strconv"
	"time"
	"unicode/utf8"

	"github.com/redlock-go/redlock/clock"
)

// Handle names a lock that was acquired, so that another process, or a later one,
// can [Client.Attach] to it. It can be sent as JSON. It carries the token, and
// whoever has that can release the lock, so it does not show when it is printed
// or logged.
type Handle struct {
	Key   string
	Token string
	TTL   time.Duration // that the lock was acquired or last extended with
}

type handleJSON struct {
	Key   string `json:"key"`
	Token string `json:"token"`
	TTLms int64  `json:"ttl_ms"`
}

// MarshalJSON writes {"key":...,"token":...,"ttl_ms":...}.
func (h Handle) MarshalJSON() ([]byte, error) {
	if !utf8.ValidString(h.Key) {
		return nil, invalid("key", strconv.Quote(h.Key), "must be UTF-8 to be written as JSON, which would change it")
	}
	return json.Marshal(handleJSON{h.Key, h.Token, clock.Millis(h.TTL)})
}

// UnmarshalJSON reads what MarshalJSON wrote.
func (h *Handle) UnmarshalJSON(data []byte) error {
	var j handleJSON
	if err := json.Unmarshal(data, &j); err != nil {
		return fmt.Errorf("redlock: handle: %w", err)
	}
	*h = Handle{Key: j.Key, Token: j.Token, TTL: time.Duration(j.TTLms) * time.Millisecond}
	return nil
}

// String shows the key only.
func (h Handle) String() string { return "lock " + strconv.Quote(h.Key) }

// GoString keeps the token out of %#v.
func (h Handle) GoString() string { return "redlock.Handle{" + strconv.Quote(h.Key) + "}" }

// LogValue keeps the token out of logs.
func (h Handle) LogValue() slog.Value { return slog.StringValue(h.Key) }

// Handle returns what another process needs to attach to the lock.
func (l *Lock) Handle() Handle {
	l.mu.Lock()
	defer l.mu.Unlock()
	return Handle{Key: l.key, Token: l.token, TTL: l.ttl}
}
