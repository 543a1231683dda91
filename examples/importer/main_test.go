package main

import (
	"bytes"
	"database/sql"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

// asImporter makes the test program be the importer, so that tests see its
// exit status and send it signals.
const asImporter = "TEST_AS_IMPORTER"

func TestMain(m *testing.M) {
	if os.Getenv(asImporter) != "" {
		main() // exits
	}
	goleak.VerifyTestMain(m)
}

// importer is a process of this program, not yet started, in an environment
// that says nothing of locks.
func importer(t *testing.T, args ...string) (cmd *exec.Cmd, stdout, stderr *bytes.Buffer) {
	t.Helper()
	stdout, stderr = &bytes.Buffer{}, &bytes.Buffer{}
	cmd = exec.CommandContext(t.Context(), os.Args[0], args...)
	cmd.Env = append(os.Environ(), asImporter+"=1", "REDLOCK_NODES=", "REDLOCK_KEY=", "REDLOCK_TOKEN=",
		"GORACE=atexit_sleep_ms=0") // the race detector otherwise lingers for a second
	cmd.Stdout, cmd.Stderr = stdout, stderr
	return cmd, stdout, stderr
}

func exitStatus(t *testing.T, err error) int {
	t.Helper()
	if err == nil {
		return 0
	}
	exit, ok := errors.AsType[*exec.ExitError](err)
	require.True(t, ok, "%v", err)
	return exit.ExitCode()
}

func count(t *testing.T, dbPath, table string) (rows int) {
	t.Helper()
	db, err := sql.Open("sqlite", dbPath)
	require.NoError(t, err)
	defer func() { require.NoError(t, db.Close()) }()
	require.NoError(t, db.QueryRow("SELECT count(*) FROM "+table).Scan(&rows))
	return rows
}

func TestAnImportedFileIsToldInOneLine(t *testing.T) {
	dbPath := filepath.Join(t.TempDir(), "customers.db")
	cmd, stdout, stderr := importer(t, "file", "customers.csv", dbPath, "--pace", "50ms")
	cmd.Env = append(cmd.Env, "REDLOCK_KEY=import:lock:customers", "REDLOCK_TOKEN=a secret")
	require.NoError(t, cmd.Run(), "%s", stderr)
	assert.Regexp(t, `^imported 3000 customers into \S+/customers\.db in [0-9.]+m?s \(run [0-9a-f]{16}\)\n$`, stdout)
	assert.Empty(t, stderr.String())
	assert.Equal(t, 3000, count(t, dbPath, "customers"))
	assert.Equal(t, 1, count(t, dbPath, "imports WHERE lock_key = 'import:lock:customers' AND length(token_fingerprint) = 8"))
	content, err := os.ReadFile(dbPath)
	require.NoError(t, err)
	assert.NotContains(t, string(content), "a secret")
}

func TestTwoImportsThatRaceAreTold(t *testing.T) {
	dir := t.TempDir()
	pipe, dbPath := filepath.Join(dir, "pipe.csv"), filepath.Join(dir, "customers.db")
	require.NoError(t, syscall.Mkfifo(pipe, 0o600))
	content, err := os.ReadFile("customers.csv")
	require.NoError(t, err)

	slow, _, slowErr := importer(t, "file", pipe, dbPath)
	require.NoError(t, slow.Start())
	rows, err := os.OpenFile(pipe, os.O_WRONLY, 0) // returns once the importer reads
	require.NoError(t, err)
	fast, _, fastErr := importer(t, "file", "customers.csv", dbPath)
	require.NoError(t, fast.Run(), "%s", fastErr)
	_, err = rows.Write(content)
	require.NoError(t, errors.Join(err, rows.Close()))
	require.NoError(t, slow.Wait(), "%s", slowErr)

	assert.Regexp(t, `^importer: this run overlapped run [0-9a-f]{16} \(.* to .* UTC\): two imports ran at once, .*\n$`, slowErr)
	assert.Empty(t, fastErr.String(), "the other was not finished")
}

func TestASignalStopsTheImportAndLeavesNothing(t *testing.T) {
	content, err := os.ReadFile("customers.csv")
	require.NoError(t, err)
	for _, test := range []struct {
		signal syscall.Signal
		status int
		want   string
	}{
		{syscall.SIGTERM, 143, "importer: stopped, nothing was imported: terminated signal received\n"},
		{syscall.SIGINT, 130, "importer: stopped, nothing was imported: interrupt signal received\n"},
	} {
		t.Run(test.signal.String(), func(t *testing.T) {
			dir := t.TempDir()
			csvPath, dbPath := filepath.Join(dir, "customers.csv"), filepath.Join(dir, "customers.db")
			require.NoError(t, syscall.Mkfifo(csvPath, 0o600))
			cmd, stdout, stderr := importer(t, "file", csvPath, dbPath, "--pace", "1h")
			require.NoError(t, cmd.Start())
			// A pipe is opened once the other end is: the importer is up.
			require.NoError(t, os.WriteFile(csvPath, content, 0o600))
			require.NoError(t, cmd.Process.Signal(test.signal))

			assert.Equal(t, test.status, exitStatus(t, cmd.Wait()))
			assert.Equal(t, test.want, stderr.String())
			assert.Empty(t, stdout.String())
			assert.Zero(t, count(t, dbPath, "sqlite_schema"))
		})
	}
}

func TestMistakesAreToldInOneLineWithAStatus(t *testing.T) {
	dbPath := filepath.Join(t.TempDir(), "customers.db")
	for _, test := range []struct {
		name   string
		args   []string
		status int
		want   string
	}{
		{"nothing", nil, 64, "importer: say what to do: file or serve\n"},
		{"another command", []string{"export"}, 64, `importer: "export" is not something to do: file or serve` + "\n"},
		{"no database", []string{"file", "a.csv"}, 64, `importer: file: want a CSV and a database, got ["a.csv"]` + "\n"},
		{"one argument too many", []string{"file", "a.csv", "b.db", "c"}, 64, "importer: file: want a CSV"},
		{"an unknown flag", []string{"file", "a.csv", "b.db", "--fast"}, 64, "importer: file: flag provided but not defined: -fast\n"},
		{"a pace without its unit", []string{"file", "--pace", "2", "a.csv", "b.db"}, 64, `importer: file: invalid value "2" for flag -pace`},
		{"serve without files", []string{"serve"}, 64, "importer: serve: name the CSV with --csv and the database with --db\n"},
		{"serve with arguments", []string{"serve", "a.csv"}, 64, `importer: serve: it takes flags only, got ["a.csv"]` + "\n"},
		{"serve without nodes", []string{"serve", "--csv", "a", "--db", "b"}, 64, "importer: serve: name the lock nodes in REDLOCK_NODES"},
		{"no such CSV", []string{"file", "missing.csv", dbPath}, 1, "importer: open missing.csv: no such file or directory\n"},
		{"not a customer CSV", []string{"file", "go.mod", dbPath}, 1, `importer: go.mod: line 1: the header is "module `},
		{"no such directory", []string{"file", "customers.csv", "missing/x.db"}, 1, "importer: open database missing/x.db: its directory must exist and be writable"},
		{"a file name like a flag", []string{"file", "--", "missing.csv", "--pace"}, 1, "importer: open missing.csv: no such file or directory\n"},
	} {
		t.Run(test.name, func(t *testing.T) {
			cmd, stdout, stderr := importer(t, test.args...)
			assert.Equal(t, test.status, exitStatus(t, cmd.Run()))
			assert.Contains(t, stderr.String(), test.want)
			assert.Empty(t, stdout.String())
			if test.status == exitUsage {
				assert.Contains(t, stderr.String(), `"importer -h" explains the usage`)
			} else {
				assert.Equal(t, 1, bytes.Count(stderr.Bytes(), []byte("\n")))
			}
		})
	}
	assert.NoFileExists(t, dbPath)
}

func TestHelpIsNoMistake(t *testing.T) {
	for _, args := range [][]string{{"-h"}, {"--help"}, {"help"}, {"file", "-h"}, {"serve", "--help"}} {
		cmd, stdout, stderr := importer(t, args...)
		require.NoError(t, cmd.Run(), "%v", args)
		assert.Equal(t, usage, stdout.String())
		assert.Empty(t, stderr.String())
	}
}
