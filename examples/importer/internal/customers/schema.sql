CREATE TABLE IF NOT EXISTS customers (
    id        INTEGER PRIMARY KEY,
    name      TEXT NOT NULL,
    email     TEXT NOT NULL,
    city      TEXT NOT NULL,
    country   TEXT NOT NULL,
    signed_up TEXT NOT NULL -- YYYY-MM-DD
);

-- One row for every import that finished. It is written by the transaction that
-- writes the customers, so an import that fails or is killed leaves no row.
CREATE TABLE IF NOT EXISTS imports (
    run               TEXT PRIMARY KEY,
    started           TEXT NOT NULL, -- UTC, microseconds, fixed width: sorts as text
    finished          TEXT NOT NULL,
    rows              INTEGER NOT NULL,
    lock_key          TEXT NOT NULL, -- empty: no lock was held
    token_fingerprint TEXT NOT NULL  -- empty: not known
);
