package main

import (
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"strconv"
	"syscall"
	"time"
)

// beChild is a command that redlock runs.
func beChild(name string, args []string) int {
	switch name {
	case "signals":
		return recordSignal(args[0])
	case "stubborn":
		return refuseToEnd(args[0])
	case "beat":
		return beat(args[0])
	case "neglect":
		return neglect(args)
	default:
		fmt.Fprintln(os.Stderr, "no such child:", name)
		return 1
	}
}

// recordSignal writes "ready" to a file, then the first signal that it gets.
func recordSignal(file string) int {
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP, syscall.SIGQUIT, syscall.SIGUSR1, syscall.SIGUSR2)
	replace(file, "ready")
	sig := (<-signals).(syscall.Signal)
	replace(file, sig.String())
	return 100 + int(sig)
}

// refuseToEnd beats together with a child of its own, and when it is told to end
// only writes down when that was.
func refuseToEnd(dir string) int {
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGTERM)
	go func() {
		<-signals
		replace(dir+"/term", now())
	}()
	grandchild := exec.Command(os.Args[0], asChild+"beat", dir+"/grandchild")
	grandchild.Stdout, grandchild.Stderr = os.Stdout, os.Stderr
	if err := grandchild.Start(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return beatOn(dir + "/child")
}

// beat writes down the time all the time, whoever tells it to end.
func beat(file string) int {
	signal.Ignore(syscall.SIGTERM, syscall.SIGTSTP)
	return beatOn(file)
}

func beatOn(file string) int {
	f, err := os.Create(file)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	for {
		// Of one length, so that each replaces the one before.
		if _, err := f.WriteAt([]byte(now()), 0); err != nil {
			return 1
		}
		time.Sleep(time.Millisecond)
	}
}

func now() string { return strconv.FormatInt(time.Now().UnixNano(), 10) }

// replace writes a file so that it is never seen half written.
func replace(file, text string) {
	if err := os.WriteFile(file+".new", []byte(text), 0o600); err == nil {
		_ = os.Rename(file+".new", file)
	}
}
