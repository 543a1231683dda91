package redlock

import (
	"crypto/tls"
	"fmt"
	"log/slog"
	"strconv"
	"time"

	"github.com/cenkalti/backoff/v4"

	"github.com/redlock-go/redlock/clock"
	"github.com/redlock-go/redlock/quorum"
)

// DefaultNodeTimeout is how long a node may take to answer before its vote is
// unknown and its connection is given up.
const DefaultNodeTimeout = 500 * time.Millisecond

// The times to live that the guide for import jobs uses.
const (
	TTLShort  = 30 * time.Second
	TTLMedium = 5 * time.Minute
	TTLLong   = 10 * time.Minute
)

// Option sets up a [Client].
type Option func(*config)

type config struct {
	clock     clock.Clock
	drift     clock.Drift
	timeout   time.Duration
	quorum    *int // nil: the majority
	namespace string
	tls       *tls.Config
	observer  Observer
	log       *slog.Logger
}

func newConfig(nodes int, opts []Option) (config, error) {
	c := config{
		clock:   clock.System(),
		drift:   clock.DefaultDrift,
		timeout: DefaultNodeTimeout,
	}
	for _, o := range opts {
		if o != nil {
			o(&c)
		}
	}
	if c.log == nil {
		c.log = slog.New(slog.DiscardHandler)
	}
	if nodes == 0 {
		return c, invalid("nodes", "(none)", "give at least one; five independent masters survive the loss of two")
	}
	if c.quorum == nil {
		majority := quorum.Majority(nodes)
		c.quorum = &majority
	}
	if err := quorum.Check(nodes, *c.quorum); err != nil {
		return c, invalid("quorum", strconv.Itoa(*c.quorum), err.Error())
	}
	if err := c.drift.Check(); err != nil {
		return c, invalid("drift", fmt.Sprintf("%v + %v", c.drift.Factor, c.drift.Floor), err.Error())
	}
	if c.timeout < time.Millisecond || c.timeout > time.Hour {
		return c, invalid("node timeout", c.timeout.String(), "must be from 1ms to 1h")
	}
	return c, nil
}

// WithDrift sets what is taken off a lock's validity because clocks run apart:
// factor of its time to live, plus floor. The default is 1 % + 2 ms, see
// [clock.Drift].
func WithDrift(factor float64, floor time.Duration) Option {
	return func(c *config) { c.drift = clock.Drift{Factor: factor, Floor: floor} }
}

// WithNodeTimeout sets how long a node may take to answer, and a quarter of how
// long it may take to be connected to. It bounds how long a call takes that too
// few nodes answer, at a few times the timeout; a minority of sick nodes costs
// nothing, whatever it is. The default is [DefaultNodeTimeout].
func WithNodeTimeout(d time.Duration) Option { return func(c *config) { c.timeout = d } }

// WithQuorum sets how many nodes have to agree: at least a majority, which is the
// default. A larger quorum of q survives 2q-N-1 nodes that lose their data, and
// N-q that do not answer.
func WithQuorum(q int) Option {
	return func(c *config) { c.quorum = &q }
}

// WithObserver has o told what happens. A later one replaces an earlier one.
func WithObserver(o Observer) Option { return func(c *config) { c.observer = o } }

// WithLogger logs nodes that come and go, at Warn and Info, and, at Warn, locks
// that were lost and locks that [Client.WithLock], [Run] or [RunImport] could not
// give back. The loss of a lock that nobody watches (see [Observer.Lost]) is logged
// when it is found by the next call. Tokens and credentials are not logged. The
// default is silence.
func WithLogger(l *slog.Logger) Option { return func(c *config) { c.log = l } }

// WithNamespace puts prefix before every key on the nodes. Clients exclude each
// other only within a namespace.
func WithNamespace(prefix string) Option { return func(c *config) { c.namespace = prefix } }

// WithTLS sets the TLS configuration for rediss:// addresses given to [Dial]: a
// private certificate authority, a client's certificate. The server's name is
// filled in where it is missing.
func WithTLS(t *tls.Config) Option { return func(c *config) { c.tls = t } }

// WithClock replaces [clock.System]. It is for tests in virtual time: a clock
// that stands still while the machine sleeps lets a dead lock look alive.
func WithClock(k clock.Clock) Option { return func(c *config) { c.clock = k } }

// AcquireOption changes one acquisition. Every AcquireOption is an [ImportOption].
type AcquireOption interface {
	ImportOption
	acquire(*acquireConfig)
}

// ImportOption changes one [RunImport].
type ImportOption interface{ importing(*importConfig) }

type acquireConfig struct {
	retry      func() backoff.BackOff
	autoExtend bool
}

type importConfig struct {
	ttl     time.Duration
	acquire []AcquireOption
}

type acquireOption func(*acquireConfig)

func (o acquireOption) acquire(c *acquireConfig)  { o(c) }
func (o acquireOption) importing(c *importConfig) { c.acquire = append(c.acquire, o) }

type importOption func(*importConfig)

func (o importOption) importing(c *importConfig) { o(c) }

// UntilDone retries until ctx ends, at growing, random intervals of a quarter of a
// second on average at the most.
func UntilDone() AcquireOption { return Retry(untilDone) }

// Retry sets when an acquisition that found the lock held, or too few nodes, is
// tried again: policy is asked for a new back-off by each acquisition, and gives
// up by answering backoff.Stop.
func Retry(policy func() backoff.BackOff) AcquireOption {
	return acquireOption(func(c *acquireConfig) { c.retry = policy })
}

// AutoExtend sets whether the lock extends itself, from a goroutine of its own,
// after each third of its validity. [Client.WithLock], [Run] and [RunImport]
// do so unless told otherwise; [Client.Acquire] and [Client.TryAcquire] only when
// told.
func AutoExtend(on bool) AcquireOption {
	return acquireOption(func(c *acquireConfig) { c.autoExtend = on })
}

// ImportTTL replaces the five minutes that [RunImport] locks for.
func ImportTTL(ttl time.Duration) ImportOption {
	return importOption(func(c *importConfig) { c.ttl = ttl })
}

// threeRetries is the guide's policy: up to three more attempts, 200 ms apart.
// The half up or down keeps contenders that met once from meeting again, which
// is also what breaks a split vote up (two of four nodes each).
func threeRetries() backoff.BackOff {
	return backoff.WithMaxRetries(jittered(200*time.Millisecond, 200*time.Millisecond), 3)
}

func untilDone() backoff.BackOff {
	return jittered(20*time.Millisecond, 250*time.Millisecond)
}

// jittered grows from first to most, each wait random by half of itself, and
// never gives up: the library's defaults of 500 ms to 60 s and an end after 15
// minutes are made for other things.
func jittered(first, most time.Duration) backoff.BackOff {
	return backoff.NewExponentialBackOff(
		backoff.WithInitialInterval(first),
		backoff.WithMaxInterval(most),
		backoff.WithMultiplier(1.5),
		backoff.WithRandomizationFactor(0.5),
		backoff.WithMaxElapsedTime(0),
	)
}
