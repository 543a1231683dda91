package customers

import (
	"errors"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const head = "id,name,email,city,country,signed_up\n"

func TestACustomerFileIsReadAsWritten(t *testing.T) {
	rows, err := Read(strings.NewReader(head +
		`7,"Krüger, Käthe ""Kat""",kaethe@example.com,"Washington, D.C.",US,2024-02-29` + "\r\n" +
		"8,Åsa Öberg,asa@example.org,Umeå,SE,2015-01-01\n"))
	require.NoError(t, err)
	assert.Equal(t, []Customer{
		{7, `Krüger, Käthe "Kat"`, "kaethe@example.com", "Washington, D.C.", "US", time.Date(2024, 2, 29, 0, 0, 0, 0, time.UTC)},
		{8, "Åsa Öberg", "asa@example.org", "Umeå", "SE", time.Date(2015, 1, 1, 0, 0, 0, 0, time.UTC)},
	}, rows)
}

func TestAByteOrderMarkIsNotPartOfTheHeader(t *testing.T) {
	rows, err := Read(strings.NewReader("\uFEFF" + head + "7,A,a@example.com,Köln,DE,2024-02-29\n"))
	require.NoError(t, err)
	assert.Len(t, rows, 1)
}

func TestTheShippedFileIsGood(t *testing.T) {
	rows, err := ReadFile(filepath.Join("..", "..", "customers.csv"))
	require.NoError(t, err)
	assert.Len(t, rows, 3000)
}

func TestABadFileIsRefusedWithItsPlaceAndTheRule(t *testing.T) {
	const good = "7,Anna,anna@example.com,Köln,DE,2024-02-29\n"
	for _, test := range []struct{ name, file, want string }{
		{"empty", "", "the file is empty, want the header id,name,email,city,country,signed_up"},
		{"header only", head, "the file has a header and no customers: was it cut off?"},
		{"header misses a column", "id,name\n7,Anna\n", `line 1: the header is "id,name", want "id,name,email,city,country,signed_up"`},
		{"header in another order", "name,id,email,city,country,signed_up\n" + good, `line 1: the header is "name,id,`},
		{"too few fields", head + good + "8,Anna\n", "record on line 3: wrong number of fields: 2, want 6 (id,name,email,city,country,signed_up)"},
		{"too many fields", head + "7,Anna,anna@example.com,Köln,DE,2024-02-29,x\n", "record on line 2: wrong number of fields: 7, want 6"},
		{"quote inside a field", head + good + `8,An"na,a@example.com,Köln,DE,2024-02-29` + "\n", `parse error on line 3, column 5: bare " in non-quoted-field`},
		{"id is no number", head + "x7,Anna,anna@example.com,Köln,DE,2024-02-29\n", `line 2, column id: "x7" must be a whole number, 1 or larger`},
		{"id is zero", head + "0,Anna,anna@example.com,Köln,DE,2024-02-29\n", `line 2, column id: "0" must be`},
		{"id is too large", head + "9223372036854775808,Anna,anna@example.com,Köln,DE,2024-02-29\n", `column id: "9223372036854775808" must be`},
		{"no name", head + "7, ,anna@example.com,Köln,DE,2024-02-29\n", `line 2, column name: " " must be UTF-8 text of 1 to 200 characters`},
		{"name in Latin-1", head + "7,K\xf6hler,anna@example.com,Köln,DE,2024-02-29\n", `line 2, column name: "K\xf6hler" must be UTF-8 text`},
		{"name of 201 characters", head + "7," + strings.Repeat("ä", 201) + ",anna@example.com,Köln,DE,2024-02-29\n", "line 2, column name:"},
		{"email without @", head + good + "8,Ben,ben,Köln,DE,2024-02-29\n", `line 3, column email: "ben" must be one e-mail address`},
		{"email with a name", head + "7,Ben,Ben <ben@example.com>,Köln,DE,2024-02-29\n", `column email: "Ben <ben@example.com>" must be one`},
		{"no city", head + "7,Ben,ben@example.com,,DE,2024-02-29\n", `line 2, column city: "" must be`},
		{"country in small letters", head + "7,Ben,ben@example.com,Köln,de,2024-02-29\n", `line 2, column country: "de" must be a country code`},
		{"a day that never was", head + "7,Ben,ben@example.com,Köln,DE,2023-02-29\n", `line 2, column signed_up: "2023-02-29" must be a day`},
		{"the same id again", head + good + "8,Ben,ben@example.com,Köln,DE,2024-02-29\n" + good, `line 4, column id: "7" must be in the file once, and line 2 has it`},
		{"line numbers after a name of two lines", head + "7,\"An\nna\",anna@example.com,Köln,DE,2024-02-29\n8,Ben,ben,Köln,DE,2024-02-29\n", `line 4, column email: "ben"`},
	} {
		t.Run(test.name, func(t *testing.T) {
			rows, err := Read(strings.NewReader(test.file))
			require.ErrorContains(t, err, test.want)
			assert.Nil(t, rows)
			assert.NotContains(t, err.Error(), "\n", "one line")
		})
	}
}

func TestABadValueIsToldByItsParts(t *testing.T) {
	_, err := Read(strings.NewReader(head + "7,Ben,ben,Köln,DE,2024-02-29\n"))
	bad, ok := errors.AsType[*RowError](err)
	require.True(t, ok, "%v", err)
	assert.Equal(t, RowError{2, "email", "ben", "must be one e-mail address, such as anna@example.com"}, *bad)
}

func TestALongBadValueIsCutInTheMessage(t *testing.T) {
	_, err := Read(strings.NewReader(head + "7,Ben," + strings.Repeat("b", 100_000) + ",Köln,DE,2024-02-29\n"))
	require.Error(t, err)
	assert.Less(t, len(err.Error()), 200)
}

func TestAMissingFileIsNamed(t *testing.T) {
	_, err := ReadFile("missing.csv")
	require.EqualError(t, err, "open missing.csv: no such file or directory")
}
