package main

import (
	"io"
	"log/slog"
)

// newLogger returns what --verbose logs with.
func newLogger(stderr io.Writer) *slog.Logger {
	return slog.New(slog.NewTextHandler(stderr, nil))
}
