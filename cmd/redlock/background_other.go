//go:build !unix

package main

import (
	"context"
	"errors"
	"io"
)

// mark would say which process serves the development nodes.
type mark struct{}

type server struct {
	pid   int
	addrs []string
}

func markServing([]string) (*mark, server, error) { return &mark{}, server{}, nil }

func (*mark) remove() {}

var errNoBackground = errors.New("nothing can be run in the background on this operating system: run redlock dev in another terminal, and end it there")

func stopDevelopment(io.Writer) error { return exit(exitUsage, "%v", errNoBackground) }

func startInBackground(context.Context) error { return exit(exitUsage, "%v", errNoBackground) }
