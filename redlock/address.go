package redlock

import (
	"errors"
	"fmt"
	"net"
	"net/url"
	"strconv"
	"strings"

	"github.com/redis/rueidis"
)

// address is one parsed argument of [Dial].
type address struct {
	name    string // without credentials; the same for the same server
	network string
	option  rueidis.ClientOption
}

// parseAddress reads host:port, redis://, rediss:// or unix://. Its errors do not
// repeat what could be a password.
func parseAddress(raw string) (address, error) {
	if strings.TrimSpace(raw) == "" {
		return address{}, invalid("address", strconv.Quote(raw), "is empty: give host:port, redis://, rediss:// or unix://")
	}
	if !strings.Contains(raw, "://") {
		if strings.Contains(raw, "@") {
			return address{}, invalid("address", redact(raw), "has credentials but no scheme: write redis://user:password@host:port")
		}
		host, port, err := net.SplitHostPort(raw)
		if err != nil {
			reason := err.Error()
			if addrErr, ok := errors.AsType[*net.AddrError](err); ok {
				reason = addrErr.Err
			}
			shown := raw
			if name, _, more := strings.Cut(raw, ":"); more {
				shown = name + ":***" // who forgot a slash may have given a password
			}
			return address{}, invalid("address", strconv.Quote(shown), reason+": give host:port, redis://, rediss:// or unix://")
		}
		return tcpAddress(strconv.Quote(raw), host, port, rueidis.ClientOption{})
	}
	option, err := rueidis.ParseURL(raw)
	if err != nil {
		// Behind the colon stands what was found, which may be part of a password.
		reason, _, _ := strings.Cut(strings.TrimPrefix(err.Error(), "redis: "), ":")
		if _, ok := errors.AsType[*url.Error](err); ok {
			reason = "is not a URL"
		}
		return address{}, invalid("address", redact(raw), reason+"; "+escape)
	}
	if u, err := url.Parse(raw); err != nil || u.Fragment != "" || u.User == nil && strings.Contains(raw, "@") {
		return address{}, invalid("address", redact(raw), "has an @ or a # where none belongs; "+escape)
	}
	if option.Sentinel.MasterSet != "" || len(option.InitAddress) != 1 {
		return address{}, invalid("address", redact(raw), "names more than one server: every node is one independent master")
	}
	if strings.HasPrefix(raw, "unix:") {
		path := option.InitAddress[0]
		if path == "" {
			return address{}, invalid("address", redact(raw), "has no path to the socket: write unix:///path/to/redis.sock")
		}
		return address{name: path, network: "unix", option: option}, nil
	}
	host, port, err := net.SplitHostPort(option.InitAddress[0])
	if err != nil {
		return address{}, invalid("address", redact(raw), "has no host and port")
	}
	return tcpAddress(redact(raw), host, port, option)
}

const escape = "write redis://user:password@host:port/db, and / ? # @ : in a password as %2F %3F %23 %40 %3A"

func tcpAddress(shown, host, port string, option rueidis.ClientOption) (address, error) {
	if host == "" {
		return address{}, invalid("address", shown, "has no host")
	}
	if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 {
		return address{}, invalid("address", shown, fmt.Sprintf("port %q: must be a number from 1 to 65535", port))
	}
	name := net.JoinHostPort(strings.ToLower(host), port)
	option.InitAddress = []string{name}
	return address{name: name, network: "tcp", option: option}, nil
}

// redact shows an address without user and password, also one that cannot be
// parsed.
func redact(raw string) string {
	scheme, rest, found := strings.Cut(raw, "://")
	if !found {
		scheme, rest = "", raw
	} else {
		scheme += "://"
	}
	// The last @ ends the credentials, wherever a password has put others. The
	// query may hold credentials too, for all that is known.
	if at := strings.LastIndexByte(rest, '@'); at >= 0 {
		rest = "***@" + rest[at+1:]
	}
	if end := strings.IndexAny(rest, "?#"); end >= 0 {
		rest = rest[:end]
	}
	return strconv.Quote(scheme + rest)
}
