-- What several processes share while they work, and what was taken out of the entries. Leases are
-- measured by the machine's clock since it was started, which nobody sets; `boot` says which start that
-- is, and the process is known by its number, its space of numbers and when it began.

CREATE TABLE lease (
    subject       TEXT PRIMARY KEY,
    holder        TEXT NOT NULL,
    fence         INTEGER NOT NULL,
    until_boot_ms INTEGER NOT NULL,
    boot          TEXT NOT NULL,
    pidns         TEXT NOT NULL,
    pid           INTEGER NOT NULL,
    pid_start     INTEGER NOT NULL
) STRICT;

CREATE TABLE fence (
    one  INTEGER PRIMARY KEY CHECK (one = 1),
    next INTEGER NOT NULL
) STRICT;
INSERT INTO fence (one, next) VALUES (1, 1);

-- What a tenant may still be asked now, in thousandths of a request, and until when it is left alone.
CREATE TABLE budget (
    tenant          TEXT PRIMARY KEY,
    tokens          INTEGER NOT NULL,
    at_boot_ms      INTEGER NOT NULL,
    frozen_until_ms INTEGER NOT NULL,
    boot            TEXT NOT NULL
) STRICT;

-- Entries that lie in a file now: the chain and the tree go on from where they ended.
CREATE TABLE archive (
    first_seq   INTEGER PRIMARY KEY,
    last_seq    INTEGER NOT NULL,
    at          INTEGER NOT NULL,
    root        BLOB NOT NULL CHECK (length(root) = 32),
    head        BLOB NOT NULL CHECK (length(head) = 32),
    frontier    BLOB NOT NULL,
    file_sha256 BLOB NOT NULL CHECK (length(file_sha256) = 32),
    place       TEXT NOT NULL
) STRICT;

ALTER TABLE scan ADD COLUMN skipped INTEGER NOT NULL DEFAULT 0;
