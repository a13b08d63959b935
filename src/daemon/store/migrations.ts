import { beginChain } from './chain.ts'
import type { Compiler } from './database.ts'

/** One step of the schema: `up` brings it in, `down` takes it out again. Each runs in one transaction. */
export interface Migration {
  readonly up: string
  /** What SQL cannot say, after `up`. */
  readonly fill?: (db: Compiler) => void
  readonly down: string
}

const operationColumns = `
    id             TEXT PRIMARY KEY,
    connection_id  INTEGER NOT NULL,
    operation_type TEXT NOT NULL,
    status         TEXT NOT NULL DEFAULT 'pending',
    started_at     INTEGER NOT NULL,
    completed_at   INTEGER,
    progress       INTEGER NOT NULL DEFAULT 0,
    message        TEXT,
    error          TEXT,
    metadata       TEXT NOT NULL,
    created_by     TEXT NOT NULL`

/** Of `10.0.0.1:22 via bastion:22` the beginning. */
const addressIn = (device: string) => `substr(${device}, 1, instr(${device}, ' via ') - 1)`

/** `user_version` counts the entries that are in. Released entries never change; a new one is added below. */
export const MIGRATIONS: readonly Migration[] = [
  {
    up: `
  CREATE TABLE connections (
    id                   INTEGER PRIMARY KEY AUTOINCREMENT,
    name                 TEXT NOT NULL UNIQUE COLLATE NOCASE,
    host                 TEXT NOT NULL,
    port                 INTEGER NOT NULL,
    username             TEXT NOT NULL,
    platform             TEXT NOT NULL,
    service              TEXT,
    key_path             TEXT,
    sealed_password      BLOB,
    host_key_type        TEXT,
    host_key_fingerprint TEXT,
    algorithms           TEXT NOT NULL,
    algorithms_reason    TEXT,
    echo                 INTEGER NOT NULL,
    enter                TEXT NOT NULL,
    sudo                 INTEGER NOT NULL,
    timings              TEXT NOT NULL,
    created_at           INTEGER NOT NULL
  ) STRICT;

  -- metadata is the operation as core/operation.ts projects it; the other columns repeat what is searched and read.
  CREATE TABLE active_operations (${operationColumns},
    phase        TEXT NOT NULL,
    seq          INTEGER NOT NULL,
    conflict_key TEXT NOT NULL
  ) STRICT;
  CREATE INDEX active_operations_connection_id  ON active_operations (connection_id);
  CREATE INDEX active_operations_status         ON active_operations (status);
  CREATE INDEX active_operations_operation_type ON active_operations (operation_type);
  -- The claim: whatever the code above it does, no second active operation of a group gets onto a device.
  CREATE UNIQUE INDEX active_operations_claim   ON active_operations (conflict_key)
    WHERE status IN ('pending', 'in_progress');

  CREATE TABLE operation_history (${operationColumns}
  ) STRICT;
  CREATE INDEX operation_history_completed_at  ON operation_history (completed_at);
  CREATE INDEX operation_history_connection_id ON operation_history (connection_id, completed_at);

  CREATE TABLE operation_events (
    cursor       INTEGER PRIMARY KEY AUTOINCREMENT,
    operation_id TEXT NOT NULL,
    seq          INTEGER NOT NULL,
    at           INTEGER NOT NULL,
    event        TEXT NOT NULL,
    UNIQUE (operation_id, seq)
  ) STRICT;

  -- What a client asked for, so that asking again gives back the same operations.
  CREATE TABLE requests (
    request_id TEXT PRIMARY KEY,
    at         INTEGER NOT NULL,
    result     TEXT NOT NULL
  ) STRICT;

  CREATE TABLE batches (
    id       TEXT PRIMARY KEY,
    at       INTEGER NOT NULL,
    parallel INTEGER NOT NULL
  ) STRICT;

  -- An attempt to log in is written here before it is made and taken out when it worked. What stays is a hold.
  CREATE TABLE login_holds (
    device       TEXT NOT NULL,
    username     TEXT NOT NULL,
    since        INTEGER NOT NULL,
    operation_id TEXT NOT NULL,
    message      TEXT NOT NULL,
    PRIMARY KEY (device, username)
  ) STRICT;

  -- How long completed work took: outlives the history that it was learned from.
  CREATE TABLE learned_durations (
    id            INTEGER PRIMARY KEY AUTOINCREMENT,
    connection_id INTEGER NOT NULL,
    platform      TEXT NOT NULL,
    operation_type TEXT NOT NULL,
    service       TEXT NOT NULL COLLATE NOCASE,
    at            INTEGER NOT NULL,
    total_ms      INTEGER NOT NULL,
    phases        TEXT NOT NULL
  ) STRICT;
  CREATE INDEX learned_durations_connection ON learned_durations (connection_id, operation_type, service);
  CREATE INDEX learned_durations_platform   ON learned_durations (platform, operation_type, service);
`,
    down: `
  DROP TABLE learned_durations;
  DROP TABLE login_holds;
  DROP TABLE batches;
  DROP TABLE requests;
  DROP TABLE operation_events;
  DROP TABLE operation_history;
  DROP TABLE active_operations;
  DROP TABLE connections;
`,
  },
  {
    up: `
  -- "Do not touch this connection": who said so, and why.
  CREATE TABLE connection_holds (
    connection_id INTEGER PRIMARY KEY REFERENCES connections (id),
    since         INTEGER NOT NULL,
    created_by    TEXT NOT NULL,
    reason        TEXT
  ) STRICT;
  UPDATE active_operations SET metadata = json_set(metadata, '$.subject', NULL, '$.verified', NULL);
  UPDATE operation_history SET metadata = json_set(metadata, '$.subject', NULL, '$.verified', NULL);
`,
    // An older vosctl knows neither looks nor what they proved: the one goes, the other becomes plain evidence in history.
    down: `
  DROP TABLE connection_holds;
  DELETE FROM operation_events WHERE operation_id IN (
    SELECT id FROM active_operations WHERE operation_type = 'verify'
    UNION ALL SELECT id FROM operation_history WHERE operation_type = 'verify');
  DELETE FROM active_operations WHERE operation_type = 'verify';
  DELETE FROM operation_history WHERE operation_type = 'verify';
  DELETE FROM learned_durations WHERE operation_type = 'verify';
  INSERT INTO operation_history SELECT id, connection_id, operation_type, status, started_at, completed_at, progress,
    message, error, metadata, created_by FROM active_operations WHERE metadata ->> '$.verified' IS NOT NULL;
  DELETE FROM active_operations WHERE metadata ->> '$.verified' IS NOT NULL;
  UPDATE operation_events
    SET event = json_object('type', 'evidence', 'what', 'verified', 'value', event ->> '$.message')
    WHERE event ->> '$.type' = 'verified';
  UPDATE operation_events
    SET event = json_object('type', 'evidence', 'what', 'clock', 'value', 'set by ' || (event ->> '$.byMs') || ' ms')
    WHERE event ->> '$.type' = 'clock';
  UPDATE active_operations SET metadata = json_remove(metadata, '$.subject', '$.verified', '$.clockMovedMs');
  UPDATE operation_history SET metadata = json_remove(metadata, '$.subject', '$.verified', '$.clockMovedMs');
`,
  },
  {
    up: `
  -- The number also keeps an older vosctl away, which would begin at once what waits for its device.
  -- What the devices called their services, for the completion of shells alone.
  CREATE TABLE services_seen (
    connection_id INTEGER NOT NULL,
    name          TEXT NOT NULL,
    seen_at       INTEGER NOT NULL,
    PRIMARY KEY (connection_id, name)
  ) STRICT;
  -- What went wrong is little, and is asked for often.
  CREATE INDEX operation_history_went_wrong ON operation_history (completed_at) WHERE status IN ('failed', 'unknown');
`,
    // It knows neither of the two: being late is evidence for it, and what waits was accepted too long ago to be begun.
    down: `
  DROP INDEX operation_history_went_wrong;
  DROP TABLE services_seen;
  UPDATE operation_events
    SET event = json_object('type', 'evidence', 'what', 'late', 'value', 'longer than ' || (event ->> '$.usualMs') || ' ms')
    WHERE event ->> '$.type' = 'late';
  UPDATE active_operations SET started_at = 0, metadata = json_set(metadata, '$.startedAt', 0)
    WHERE status = 'pending' AND conflict_key LIKE '% queued';
  UPDATE active_operations SET metadata = json_remove(metadata, '$.lateAt', '$.after');
  UPDATE operation_history SET metadata = json_remove(metadata, '$.lateAt', '$.after');
`,
  },
  {
    up: `
  -- The connection through which this one is reached.
  ALTER TABLE connections ADD COLUMN via INTEGER REFERENCES connections (id);
  CREATE INDEX connections_via ON connections (via) WHERE via IS NOT NULL;
  -- A lab's connection, which pins the first host key that it sees.
  ALTER TABLE connections ADD COLUMN accept_new INTEGER NOT NULL DEFAULT 0;
  -- The last day (YYYY-MM-DD) on which old algorithms are allowed.
  ALTER TABLE connections ADD COLUMN algorithms_until TEXT;

  -- SHA-256 over the hash before and this row: store/chain.ts.
  ALTER TABLE operation_events ADD COLUMN hash BLOB;
  -- Where the chain of events began, and how far it was pruned: one row.
  CREATE TABLE journal_chain (
    id          BLOB PRIMARY KEY,
    begun_at    INTEGER NOT NULL,
    begun_after INTEGER NOT NULL,
    nonce       BLOB NOT NULL,
    cursor      INTEGER NOT NULL,
    hash        BLOB NOT NULL
  ) STRICT;
  -- What is left of events that were pruned before older ones, so that the chain can still be followed.
  CREATE TABLE pruned_events (
    cursor INTEGER PRIMARY KEY,
    digest BLOB NOT NULL
  ) STRICT;
  -- Who may ask over the network. Of the token itself only its SHA-256 is kept. A number is never given twice.
  CREATE TABLE tokens (
    id           INTEGER PRIMARY KEY AUTOINCREMENT,
    name         TEXT NOT NULL UNIQUE COLLATE NOCASE,
    access       TEXT NOT NULL,
    digest       BLOB NOT NULL UNIQUE CHECK (length(digest) = 32),
    created_at   INTEGER NOT NULL,
    created_by   TEXT NOT NULL,
    last_used_at INTEGER
  ) STRICT;
  -- Where the credential comes from, in one word; and where the passphrase of an encrypted key does, if it is not sealed.
  -- Renamed, so that the way back leads to the very schema that an older vosctl insists on.
  ALTER TABLE connections RENAME COLUMN key_path TO credential;
  ALTER TABLE connections ADD COLUMN passphrase_from TEXT;
  UPDATE connections SET sealed_password = NULL WHERE credential IS NOT NULL;
  UPDATE connections SET credential = CASE WHEN credential IS NOT NULL THEN 'key:' || credential
    WHEN sealed_password IS NOT NULL THEN 'sealed' ELSE 'none' END;
  -- What tells the key that seals from any other one, and what makes it of a passphrase.
  CREATE TABLE sealing (
    id    INTEGER PRIMARY KEY CHECK (id = 1),
    proof BLOB NOT NULL,
    kdf   TEXT
  ) STRICT;
  -- The host key that was pinned for a device when its connection was moved or removed: a file does not replace it.
  CREATE TABLE former_pins (
    device      TEXT PRIMARY KEY,
    type        TEXT NOT NULL,
    fingerprint TEXT NOT NULL
  ) STRICT;
`,
    fill: beginChain,
    // An older vosctl knows no event of a key that was pinned on first sight: it becomes plain evidence. It goes to every
    // device directly, and what it finds at the address has the pinned key or is refused. What was claimed or held behind
    // a jump host stays so under the address alone. It knows passwords and unencrypted key files: what else was named is
    // none, and a passphrase is no password.
    down: `
  DROP TABLE pruned_events;
  DROP TABLE journal_chain;
  ALTER TABLE operation_events DROP COLUMN hash;
  UPDATE operation_events
    SET event = json_object('type', 'evidence', 'what', 'host key', 'value', 'pinned on first sight: '
      || (event ->> '$.hostKey.type') || ' ' || (event ->> '$.hostKey.fingerprint'))
    WHERE event ->> '$.type' = 'pinned';
  DROP TABLE tokens;
  UPDATE OR IGNORE login_holds SET device = ${addressIn('device')} WHERE device LIKE '% via %';
  UPDATE active_operations SET
    conflict_key = ${addressIn("metadata ->> '$.device'")} || substr(conflict_key, length(metadata ->> '$.device') + 1),
    metadata = json_set(metadata, '$.device', ${addressIn("metadata ->> '$.device'")})
    WHERE metadata ->> '$.device' LIKE '% via %';
  UPDATE operation_history SET metadata = json_set(metadata, '$.device', ${addressIn("metadata ->> '$.device'")})
    WHERE metadata ->> '$.device' LIKE '% via %';
  UPDATE operation_events SET event = json_set(event, '$.device', ${addressIn("event ->> '$.device'")})
    WHERE seq = 1 AND event ->> '$.device' LIKE '% via %';
  UPDATE active_operations SET metadata = json_remove(metadata, '$.authenticating.hop');
  UPDATE operation_events SET event = json_remove(event, '$.hop') WHERE event ->> '$.hop' IS NOT NULL;
  DROP TABLE former_pins;
  DROP TABLE sealing;
  UPDATE connections SET sealed_password = NULL WHERE credential <> 'sealed';
  UPDATE connections SET credential = iif(credential LIKE 'key:%', substr(credential, 5), NULL);
  ALTER TABLE connections DROP COLUMN passphrase_from;
  ALTER TABLE connections RENAME COLUMN credential TO key_path;
  ALTER TABLE connections DROP COLUMN algorithms_until;
  ALTER TABLE connections DROP COLUMN accept_new;
  DROP INDEX connections_via;
  ALTER TABLE connections DROP COLUMN via;
`,
  },
]
