package customers

import (
	"bufio"
	"bytes"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"net/mail"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// Customer is one row of the file.
type Customer struct {
	ID       int64
	Name     string
	Email    string
	City     string
	Country  string    // ISO 3166-1 alpha-2, as in "DE"
	SignedUp time.Time // a day, midnight UTC
}

// RowError is a value that breaks a rule of its column. The rest of the file
// is not looked at: nothing is imported from a file with a bad row.
type RowError struct {
	Line   int // of the file, counted from 1, the header included
	Column string
	Value  string
	Rule   string
}

func (e *RowError) Error() string {
	return fmt.Sprintf("line %d, column %s: %.60q %s", e.Line, e.Column, e.Value, e.Rule)
}

// column is a column of the file and its rule: set stores the value, or
// reports that the value breaks the rule.
type column struct {
	name string
	rule string
	set  func(c *Customer, value string) bool
}

const maxText = 200 // characters of a name or a city

var columns = []column{
	{"id", "must be a whole number, 1 or larger", func(c *Customer, value string) (ok bool) {
		id, err := strconv.ParseInt(value, 10, 64)
		c.ID = id
		return err == nil && id >= 1
	}},
	{"name", textRule, func(c *Customer, value string) bool {
		c.Name = value
		return isText(value)
	}},
	{"email", "must be one e-mail address, such as anna@example.com", func(c *Customer, value string) bool {
		c.Email = value
		address, err := mail.ParseAddress(value)
		return err == nil && address.Address == value // not "Anna <anna@example.com>"
	}},
	{"city", textRule, func(c *Customer, value string) bool {
		c.City = value
		return isText(value)
	}},
	{"country", "must be a country code of two capital letters, such as DE", func(c *Customer, value string) bool {
		c.Country = value
		return len(value) == 2 && isCapital(value[0]) && isCapital(value[1])
	}},
	{"signed_up", "must be a day written as RFC 3339 does, such as 2024-02-29", func(c *Customer, value string) bool {
		day, err := time.Parse(time.DateOnly, value)
		c.SignedUp = day
		return err == nil
	}},
}

var textRule = fmt.Sprintf("must be UTF-8 text of 1 to %d characters", maxText)

func isText(value string) bool {
	return utf8.ValidString(value) && strings.TrimSpace(value) != "" && utf8.RuneCountInString(value) <= maxText
}

func isCapital(b byte) bool { return 'A' <= b && b <= 'Z' }

// header is the first line that a file must have.
func header() []string {
	names := make([]string, len(columns))
	for i, column := range columns {
		names[i] = column.name
	}
	return names
}

// ReadFile reads the CSV file at path; see [Read].
func ReadFile(path string) ([]Customer, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close() // only read from: closing it cannot lose anything
	rows, err := Read(f)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return rows, nil
}

// Read reads and checks the whole of a customer CSV before any of it is used:
// the first problem refuses the file, as a *[RowError] if a value is at fault.
// All rows are kept in memory.
func Read(r io.Reader) ([]Customer, error) {
	in := csv.NewReader(skipBOM(r))
	in.ReuseRecord = true

	want := header()
	got, err := in.Read()
	switch {
	case errors.Is(err, io.EOF):
		return nil, fmt.Errorf("the file is empty, want the header %s", strings.Join(want, ","))
	case err != nil:
		return nil, err
	case !slices.Equal(got, want):
		return nil, fmt.Errorf("line 1: the header is %.60q, want %q", strings.Join(got, ","), strings.Join(want, ","))
	}

	var rows []Customer
	lines := make(map[int64]int) // where an id was seen
	for {
		record, err := in.Read()
		if errors.Is(err, io.EOF) {
			break
		}
		if errors.Is(err, csv.ErrFieldCount) {
			return nil, fmt.Errorf("%w: %d, want %d (%s)", err, len(record), len(want), strings.Join(want, ","))
		}
		if err != nil {
			return nil, err
		}
		customer, err := parse(in, record)
		if err != nil {
			return nil, err
		}
		line, _ := in.FieldPos(0)
		if first, ok := lines[customer.ID]; ok {
			return nil, &RowError{line, columns[0].name, record[0], fmt.Sprintf("must be in the file once, and line %d has it", first)}
		}
		lines[customer.ID] = line
		rows = append(rows, customer)
	}
	if len(rows) == 0 {
		return nil, errors.New("the file has a header and no customers: was it cut off?")
	}
	return rows, nil
}

func parse(in *csv.Reader, record []string) (Customer, error) {
	var customer Customer
	for i, column := range columns {
		if !column.set(&customer, record[i]) {
			line, _ := in.FieldPos(i)
			return Customer{}, &RowError{line, column.name, record[i], column.rule}
		}
	}
	return customer, nil
}

// skipBOM drops the byte order mark that spreadsheets put in front of UTF-8.
// It cannot be seen in an error message, so the header would look right and be
// refused.
func skipBOM(r io.Reader) io.Reader {
	in := bufio.NewReader(r)
	bom := []byte("\uFEFF")
	if start, err := in.Peek(len(bom)); err == nil && bytes.Equal(start, bom) {
		_, _ = in.Discard(len(bom)) // peeked, so it is there
	}
	return in
}
