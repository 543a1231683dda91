package customers

import (
	"context"
	"database/sql"
	"errors"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	anna = "7,Anna,anna@example.com,Köln,DE,2024-02-29\n"
	ben  = "8,Ben,ben@example.org,Wien,AT,2020-12-31\n"
)

// files is a CSV file with the content and the path of a database, which does
// not exist yet.
func files(t *testing.T, content string) (csvPath, dbPath string) {
	t.Helper()
	dir := t.TempDir()
	csvPath = filepath.Join(dir, "customers.csv")
	require.NoError(t, os.WriteFile(csvPath, []byte(content), 0o600))
	return csvPath, filepath.Join(dir, "customers.db")
}

// query returns what the query selects, one string a row.
func query(t *testing.T, dbPath, query string) []string {
	t.Helper()
	db, err := sql.Open("sqlite", dbPath)
	require.NoError(t, err)
	defer func() { require.NoError(t, db.Close()) }()
	found, err := db.Query(query)
	require.NoError(t, err)
	defer found.Close()
	var values []string
	for found.Next() {
		var value string
		require.NoError(t, found.Scan(&value))
		values = append(values, value)
	}
	require.NoError(t, found.Err())
	return values
}

const allCustomers = `SELECT concat_ws('|', id, name, email, city, country, signed_up) FROM customers ORDER BY id`

func TestAnImportWritesTheCustomersAndItsRun(t *testing.T) {
	csvPath, dbPath := files(t, head+anna+ben)
	run, err := Import(t.Context(), csvPath, dbPath, Options{LockKey: "import:lock:customers", LockToken: "a secret"})
	require.NoError(t, err)

	assert.Equal(t, []string{
		"7|Anna|anna@example.com|Köln|DE|2024-02-29",
		"8|Ben|ben@example.org|Wien|AT|2020-12-31",
	}, query(t, dbPath, allCustomers))
	assert.Equal(t, 2, run.Rows)
	assert.Len(t, run.ID, 16)
	assert.False(t, run.Finished.Before(run.Started))
	assert.Empty(t, run.Overlapped)
	assert.Equal(t, []string{
		run.ID + "|" + run.Started.Format(timeLayout) + "|" + run.Finished.Format(timeLayout) +
			"|2|import:lock:customers|" + run.TokenFingerprint,
	}, query(t, dbPath, `SELECT concat_ws('|', run, started, finished, rows, lock_key, token_fingerprint) FROM imports`))
}

func TestASecondImportUpdatesAndInsertsAndDeletesNothing(t *testing.T) {
	csvPath, dbPath := files(t, head+anna+ben)
	_, err := Import(t.Context(), csvPath, dbPath, Options{})
	require.NoError(t, err)

	const moved, cleo = "8,Ben,ben@example.org,Graz,AT,2020-12-31\n", "9,Cleo,cleo@example.com,Lyon,FR,2021-01-01\n"
	require.NoError(t, os.WriteFile(csvPath, []byte(head+moved+cleo), 0o600))
	_, err = Import(t.Context(), csvPath, dbPath, Options{})
	require.NoError(t, err)
	assert.Equal(t, []string{
		"7|Anna|anna@example.com|Köln|DE|2024-02-29",
		"8|Ben|ben@example.org|Graz|AT|2020-12-31",
		"9|Cleo|cleo@example.com|Lyon|FR|2021-01-01",
	}, query(t, dbPath, allCustomers))
}

func TestAnImportThatIsCancelledLeavesNothing(t *testing.T) {
	lost := errors.New("the lock was lost")
	csvPath, dbPath := files(t, head+anna)
	ctx, cancel := context.WithCancelCause(t.Context())
	defer time.AfterFunc(50*time.Millisecond, func() { cancel(lost) }).Stop()

	_, err := Import(ctx, csvPath, dbPath, Options{Pace: time.Hour})
	require.EqualError(t, err, "stopped, nothing was imported: the lock was lost")
	require.ErrorIs(t, err, lost)
	assert.Empty(t, query(t, dbPath, `SELECT name FROM sqlite_schema`))
}

func TestAnImportThatIsCancelledWhileItWaitsForSQLiteLeavesNothing(t *testing.T) {
	csvPath, dbPath := files(t, head+anna)
	_, err := Import(t.Context(), csvPath, dbPath, Options{})
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(csvPath, []byte(head+ben), 0o600))

	other, err := sql.Open("sqlite", "file:"+dbPath+"?_txlock=immediate")
	require.NoError(t, err)
	defer func() { require.NoError(t, other.Close()) }()
	tx, err := other.BeginTx(t.Context(), nil)
	require.NoError(t, err)

	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	_, err = Import(ctx, csvPath, dbPath, Options{})
	require.ErrorIs(t, err, context.DeadlineExceeded)
	require.NoError(t, tx.Rollback())
	assert.Len(t, query(t, dbPath, allCustomers), 1)
	assert.Len(t, query(t, dbPath, `SELECT run FROM imports`), 1)
}

func TestAnImportThatFailsInItsTransactionLeavesTheDatabaseAsItWas(t *testing.T) {
	csvPath, dbPath := files(t, head+anna+ben)
	_, err := Import(t.Context(), csvPath, dbPath, Options{})
	require.NoError(t, err)
	query(t, dbPath, `CREATE TRIGGER refuse BEFORE INSERT ON imports BEGIN SELECT RAISE(ABORT, 'disk on fire'); END`)

	require.NoError(t, os.WriteFile(csvPath, []byte(head+"9,Cleo,cleo@example.com,Lyon,FR,2021-01-01\n"), 0o600))
	_, err = Import(t.Context(), csvPath, dbPath, Options{})
	require.ErrorContains(t, err, "nothing was imported: ")
	require.ErrorContains(t, err, "disk on fire")
	assert.Len(t, query(t, dbPath, allCustomers), 2)
	assert.Len(t, query(t, dbPath, `SELECT run FROM imports`), 1)
}

func TestABadFileCreatesNoDatabase(t *testing.T) {
	csvPath, dbPath := files(t, head+anna+"8,Ben,ben,Wien,AT,2020-12-31\n")
	_, err := Import(t.Context(), csvPath, dbPath, Options{})
	require.EqualError(t, err, csvPath+`: line 3, column email: "ben" must be one e-mail address, such as anna@example.com`)
	assert.NoFileExists(t, dbPath)
}

func TestOfTwoImportsThatOverlapTheLastToFinishFindsTheOther(t *testing.T) {
	csvPath, dbPath := files(t, head+anna)
	pipe := filepath.Join(filepath.Dir(dbPath), "pipe.csv")
	require.NoError(t, syscall.Mkfifo(pipe, 0o600))
	var long Run
	var longErr error
	var wg sync.WaitGroup
	wg.Go(func() { long, longErr = Import(t.Context(), pipe, dbPath, Options{}) })
	rows, err := os.OpenFile(pipe, os.O_WRONLY, 0) // returns once the import reads
	require.NoError(t, err)
	short, err := Import(t.Context(), csvPath, dbPath, Options{})
	require.NoError(t, err)
	_, err = rows.WriteString(head + ben)
	require.NoError(t, errors.Join(err, rows.Close()))
	wg.Wait()
	require.NoError(t, longErr)

	assert.Empty(t, short.Overlapped, "the other was not finished")
	require.Len(t, long.Overlapped, 1)
	assert.Equal(t, short.ID, long.Overlapped[0].ID)
	assert.WithinDuration(t, short.Started, long.Overlapped[0].Started, time.Microsecond)
	assert.WithinDuration(t, short.Finished, long.Overlapped[0].Finished, time.Microsecond)
}

func TestImportsOneAfterTheOtherDoNotOverlap(t *testing.T) {
	csvPath, dbPath := files(t, head+anna)
	for range 3 {
		run, err := Import(t.Context(), csvPath, dbPath, Options{})
		require.NoError(t, err)
		assert.Empty(t, run.Overlapped)
	}
}

func TestThePaceSpreadsTheImport(t *testing.T) {
	csvPath, dbPath := filepath.Join("..", "..", "customers.csv"), filepath.Join(t.TempDir(), "customers.db")
	run, err := Import(t.Context(), csvPath, dbPath, Options{Pace: 600 * time.Millisecond})
	require.NoError(t, err)
	assert.GreaterOrEqual(t, run.Finished.Sub(run.Started), 600*time.Millisecond)
	assert.Equal(t, []string{"3000"}, query(t, dbPath, `SELECT count(*) FROM customers`))
}

func TestADatabaseThatCannotBeWrittenIsNamed(t *testing.T) {
	csvPath, dbPath := files(t, head+anna)
	dir := filepath.Dir(dbPath)
	for _, test := range []struct{ name, path, want string }{
		{"no directory", filepath.Join(dir, "missing", "x.db"), "its directory must exist and be writable, for SQLite's journal too: no such file or directory"},
		{"below a file", filepath.Join(csvPath, "x.db"), "its directory must exist and be writable, for SQLite's journal too: not a directory"},
		{"a directory", dir, "is a directory"},
		{"not a database", csvPath, "file is not a database"},
	} {
		t.Run(test.name, func(t *testing.T) {
			began := time.Now()
			_, err := Import(t.Context(), csvPath, test.path, Options{Pace: time.Hour})
			require.ErrorContains(t, err, "open database "+test.path+": "+test.want)
			assert.NotContains(t, err.Error(), "\n", "one line")
			assert.Less(t, time.Since(began), time.Minute, "before the slow part")
		})
	}
	left, err := filepath.Glob(filepath.Join(dir, ".importer-*"))
	require.NoError(t, err)
	assert.Empty(t, left)
}

func TestAnyFileNameIsAFileName(t *testing.T) {
	csvPath, dbPath := files(t, head+anna)
	dbPath = filepath.Join(filepath.Dir(dbPath), "100% new? #1 & ü:x.db")
	for range 2 { // it is new, then it is there
		_, err := Import(t.Context(), csvPath, dbPath, Options{})
		require.NoError(t, err)
	}
	assert.FileExists(t, dbPath)
	t.Chdir(filepath.Dir(dbPath))
	_, err := Import(t.Context(), csvPath, "a:b.db", Options{})
	require.NoError(t, err)
	assert.FileExists(t, "a:b.db")
}

func TestAFingerprintIsShortAndDoesNotShowTheToken(t *testing.T) {
	assert.Empty(t, fingerprint(""))
	assert.Len(t, fingerprint("a secret"), 8)
	assert.NotEqual(t, fingerprint("a secret"), fingerprint("another"))
	assert.Equal(t, "984ca516", fingerprint("a secret"), "the same in every process")
}
