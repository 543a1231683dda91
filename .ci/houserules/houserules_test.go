// Package houserules proves that the house rules of .golangci.yml fire.
//
// A rule that has stopped matching looks exactly like code that keeps it. So
// testdata holds a small tree in the shape of this repository, in which a line
// with a comment such as
//
//	import _ "github.com/redis/rueidis" // want clock rueidis
//
// breaks the rules that it names, and every other line keeps them all. The
// linter, with the repository's own configuration, must find just these.
//
// `make lint` runs it. The folder starts with a dot and is no part of ./...,
// so that `make test` need not compile the linter.
package houserules

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const module = "github.com/redlock-go/redlock"

// Modules that the planted lines import. Stand-ins do: the rules look at paths
// only, and need neither the network nor what go.mod happens to require.
var standIns = []string{
	"github.com/alicebob/miniredis/v2",
	"github.com/redis/rueidis",
	"github.com/spf13/cobra",
	"github.com/spf13/pflag",
	"github.com/stretchr/testify/assert",
	"go.uber.org/goleak",
}

// Forbidigo names no rule: its message tells which one it was.
var forbidden = map[string]string{
	"package clock":  "time",
	"does not print": "print",
	"debugging":      "debug",
}

func TestEveryPlantedViolationIsCaughtAndNothingElse(t *testing.T) {
	dir := tree(t)
	assert.Equal(t, planted(t, dir), caught(t, dir))
}

func TestEveryRuleHasAPlantedViolation(t *testing.T) {
	_, rules, ok := strings.Cut(read(t, "../../.golangci.yml"), "\n    depguard:\n      rules:\n")
	require.True(t, ok, "depguard's rules are not where this test looks for them")
	rules, _, _ = strings.Cut(rules, "\n    forbidigo:")

	var want []string
	for _, m := range regexp.MustCompile(`(?m)^ {8}(\S+):`).FindAllStringSubmatch(rules, -1) {
		want = append(want, m[1])
	}
	for _, name := range forbidden {
		want = append(want, name)
	}
	var have []string
	for _, violation := range planted(t, "testdata") {
		have = append(have, violation[strings.LastIndex(violation, " ")+1:])
	}
	slices.Sort(have)
	assert.ElementsMatch(t, want, slices.Compact(have))
}

// tree makes a module of the planted files, with the repository's configuration.
func tree(t *testing.T) string {
	t.Helper()
	dir, err := filepath.EvalSymlinks(t.TempDir()) // the rules compare absolute paths
	require.NoError(t, err)
	require.NoError(t, os.CopyFS(dir, os.DirFS("testdata")))
	write(t, dir, ".golangci.yml", read(t, "../../.golangci.yml"))

	gomod := "module " + module + "\n\ngo 1.26\n"
	for _, path := range standIns {
		version := "v0.0.0"
		if strings.HasSuffix(path, "/v2") {
			version = "v2.0.0"
		}
		gomod += fmt.Sprintf("\nrequire %s %s\nreplace %[1]s => ./_standins/%[1]s\n", path, version)
		write(t, dir, "_standins/"+path+"/go.mod", "module "+path+"\n")
		write(t, dir, "_standins/"+path+"/doc.go", "package standin\n")
	}
	write(t, dir, "go.mod", gomod)
	return dir
}

// planted returns the violations that the files below dir announce, sorted, as
// "file:line rule".
func planted(t *testing.T, dir string) []string {
	t.Helper()
	var all []string
	require.NoError(t, fs.WalkDir(os.DirFS(dir), ".", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || filepath.Ext(path) != ".go" {
			return err
		}
		for i, line := range strings.Split(read(t, filepath.Join(dir, path)), "\n") {
			_, rules, _ := strings.Cut(line, "// want ")
			for rule := range strings.FieldsSeq(rules) {
				all = append(all, fmt.Sprintf("%s:%d %s", path, i+1, rule))
			}
		}
		return nil
	}))
	slices.Sort(all)
	return all
}

// caught returns the violations that the linter finds below dir, in the form of planted.
func caught(t *testing.T, dir string) []string {
	t.Helper()
	pin := regexp.MustCompile(`(?m)^GOLANGCI_LINT := (\S+)$`).FindStringSubmatch(read(t, "../../Makefile"))
	require.NotNil(t, pin, "the Makefile does not pin golangci-lint where this test looks for it")

	var stdout, stderr bytes.Buffer
	cmd := exec.CommandContext(t.Context(), "go", "run", pin[1], "run",
		"--path-mode=", "--output.json.path=stdout", "--show-stats=false")
	cmd.Dir = dir
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	cmd.Env = append(cmd.Environ(),
		"GOFLAGS=-mod=mod", "GOWORK=off",
		"GOLANGCI_LINT_CACHE="+t.TempDir()) // an answer from an earlier run proves nothing
	runErr := cmd.Run() // it fails, since it finds violations

	var report struct {
		Issues []struct {
			FromLinter string `json:"FromLinter"`
			Text       string `json:"Text"`
			Pos        struct {
				Filename string `json:"Filename"`
				Line     int    `json:"Line"`
			} `json:"Pos"`
		} `json:"Issues"`
	}
	require.NoError(t, json.Unmarshal(stdout.Bytes(), &report), "%v\n%s%s", runErr, &stdout, &stderr)

	var all []string
	for _, issue := range report.Issues {
		if !slices.Contains([]string{"depguard", "forbidigo", "typecheck"}, issue.FromLinter) {
			continue // the planted files are unused, undocumented and ugly, which is none of the house's rules
		}
		rule := issue.FromLinter + ": " + issue.Text // of no rule: shown as it is
		if m := regexp.MustCompile(`from list '(.+?)'`).FindStringSubmatch(issue.Text); m != nil {
			rule = m[1]
		}
		for message, name := range forbidden {
			if issue.FromLinter == "forbidigo" && strings.Contains(issue.Text, message) {
				rule = name
			}
		}
		all = append(all, fmt.Sprintf("%s:%d %s", filepath.ToSlash(issue.Pos.Filename), issue.Pos.Line, rule))
	}
	slices.Sort(all)
	return all
}

func read(t *testing.T, path string) string {
	t.Helper()
	b, err := os.ReadFile(path)
	require.NoError(t, err)
	return string(b)
}

func write(t *testing.T, dir, path, content string) {
	t.Helper()
	path = filepath.Join(dir, path)
	require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o755))
	require.NoError(t, os.WriteFile(path, []byte(content), 0o644))
}
