-- The first schema of the SQLite store.
--
-- Every time is an integer: microseconds since 1970, UTC. Documents are JSON text, NULL when empty.
-- The views name the columns that gateway/store/rows.py reads, in its order.

CREATE TABLE project (
    project_id  TEXT NOT NULL PRIMARY KEY,      -- '' = all projects together
    queued      INTEGER NOT NULL DEFAULT 0
) WITHOUT ROWID, STRICT;

INSERT INTO project (project_id) VALUES ('');

-- ---------------------------------------------------------------- people

CREATE TABLE participant (
    project_id      TEXT NOT NULL,
    participant_id  TEXT NOT NULL,
    name            TEXT,
    metadata        TEXT,
    created_at      INTEGER NOT NULL,
    updated_at      INTEGER NOT NULL,
    PRIMARY KEY (project_id, participant_id)
) WITHOUT ROWID, STRICT;

CREATE INDEX participant_by_age ON participant (project_id, created_at, participant_id);

CREATE TABLE identity (
    project_id      TEXT NOT NULL,
    platform        TEXT NOT NULL,
    external_id     TEXT NOT NULL,
    identity_id     TEXT NOT NULL,
    participant_id  TEXT NOT NULL,
    name            TEXT,
    blocked         INTEGER NOT NULL DEFAULT 0,
    opted_out       INTEGER NOT NULL DEFAULT 0,
    created_at      INTEGER NOT NULL,
    PRIMARY KEY (project_id, platform, external_id),
    FOREIGN KEY (project_id, participant_id) REFERENCES participant ON DELETE CASCADE
) WITHOUT ROWID, STRICT;

CREATE INDEX identity_by_participant ON identity (project_id, participant_id);

CREATE TABLE participant_data (
    project_id      TEXT NOT NULL,
    participant_id  TEXT NOT NULL,
    agent           TEXT NOT NULL,              -- '' = for every agent
    value           TEXT NOT NULL,
    version         INTEGER NOT NULL,
    PRIMARY KEY (project_id, participant_id, agent),
    FOREIGN KEY (project_id, participant_id) REFERENCES participant ON DELETE CASCADE
) WITHOUT ROWID, STRICT;

-- A lane of deliveries: a chat on a platform account, and the session that is current there.
CREATE TABLE address (
    address_id         INTEGER PRIMARY KEY,
    project_id         TEXT NOT NULL,
    channel            TEXT NOT NULL,
    account            TEXT NOT NULL,
    chat               TEXT NOT NULL,
    thread             TEXT NOT NULL,           -- '' = none
    session_id         TEXT,
    next_out_no        INTEGER NOT NULL DEFAULT 1,
    is_reachable       INTEGER NOT NULL DEFAULT 1,
    blocked_until      INTEGER NOT NULL DEFAULT 0,
    busy_told_at       INTEGER NOT NULL DEFAULT 0,
    last_inbound_at    INTEGER,
    moved_to           INTEGER,                 -- the address that took this one over
    created_at         INTEGER NOT NULL,
    UNIQUE (project_id, channel, account, chat, thread)
) STRICT;

CREATE TABLE account_block (
    channel        TEXT NOT NULL,
    account        TEXT NOT NULL,
    blocked_until  INTEGER NOT NULL,
    PRIMARY KEY (channel, account)
) WITHOUT ROWID, STRICT;

-- ---------------------------------------------------------------- sessions and turns

CREATE TABLE session (
    project_id        TEXT NOT NULL,
    session_id        TEXT NOT NULL,
    bot               TEXT NOT NULL,
    channel           TEXT NOT NULL,
    participant_id    TEXT NOT NULL,
    address_id        INTEGER,
    agent             TEXT,
    holder            TEXT NOT NULL DEFAULT 'bot',
    title             TEXT,
    version           INTEGER NOT NULL DEFAULT 1,
    ended_at          INTEGER,
    end_reason        TEXT,
    created_at        INTEGER NOT NULL,
    updated_at        INTEGER NOT NULL,
    next_seq          INTEGER NOT NULL DEFAULT 1,
    next_message_seq  INTEGER NOT NULL DEFAULT 1,
    last_message_at   INTEGER NOT NULL DEFAULT 0,
    pending           INTEGER NOT NULL DEFAULT 0, -- turns queued, running and waiting
    queued            INTEGER NOT NULL DEFAULT 0,
    ready_at          INTEGER,                    -- work is due, or the lease of `owner` ends
    owner             TEXT,
    epoch             INTEGER NOT NULL DEFAULT 0,
    metadata          TEXT,
    tags              TEXT,
    state             TEXT,
    PRIMARY KEY (project_id, session_id),
    FOREIGN KEY (project_id, participant_id) REFERENCES participant ON DELETE CASCADE,
    FOREIGN KEY (address_id) REFERENCES address
) WITHOUT ROWID, STRICT;

CREATE INDEX session_ready ON session (ready_at, owner) WHERE ready_at IS NOT NULL;
CREATE INDEX session_by_age ON session (project_id, created_at, session_id);
CREATE INDEX session_by_participant ON session (project_id, participant_id, created_at);
CREATE INDEX session_by_address ON session (address_id) WHERE address_id IS NOT NULL;

CREATE TABLE session_tag (
    project_id  TEXT NOT NULL,
    tag         TEXT NOT NULL,
    session_id  TEXT NOT NULL,
    PRIMARY KEY (project_id, tag, session_id),
    FOREIGN KEY (project_id, session_id) REFERENCES session ON DELETE CASCADE
) WITHOUT ROWID, STRICT;

CREATE INDEX session_tag_by_session ON session_tag (project_id, session_id);

CREATE TABLE turn (
    project_id        TEXT NOT NULL,
    turn_id           TEXT NOT NULL,
    session_id        TEXT NOT NULL,
    seq               INTEGER NOT NULL,
    kind              TEXT NOT NULL,
    state             TEXT NOT NULL,
    bot               TEXT NOT NULL,
    channel           TEXT,
    participant_id    TEXT,
    attempts          INTEGER NOT NULL DEFAULT 0,
    crash_count       INTEGER NOT NULL DEFAULT 0,
    cancel_requested  INTEGER NOT NULL DEFAULT 0,
    ready_at          INTEGER NOT NULL,           -- not before
    source_order      INTEGER,
    group_id          TEXT,
    waiting_at        INTEGER,                    -- only while it waits
    created_at        INTEGER NOT NULL,
    started_at        INTEGER,
    finished_at       INTEGER,                    -- only once it is terminal
    first_message     INTEGER,                    -- seq of its first and last message
    last_message      INTEGER,
    parts             INTEGER NOT NULL DEFAULT 0, -- deliveries it has made
    final_agent       TEXT,
    model             TEXT,
    input_tokens      INTEGER NOT NULL DEFAULT 0,
    output_tokens     INTEGER NOT NULL DEFAULT 0,
    error_code        TEXT,
    error_message     TEXT,
    error_retryable   INTEGER NOT NULL DEFAULT 0,
    is_incomplete     INTEGER NOT NULL DEFAULT 0,
    bot_version       INTEGER,
    tool_calls        TEXT,
    options           TEXT,
    PRIMARY KEY (project_id, turn_id),
    FOREIGN KEY (project_id, session_id) REFERENCES session ON DELETE CASCADE
) WITHOUT ROWID, STRICT;

CREATE UNIQUE INDEX turn_by_seq ON turn (project_id, session_id, seq);
CREATE INDEX turn_unfinished ON turn (project_id, session_id) WHERE finished_at IS NULL;
CREATE INDEX turn_waiting ON turn (waiting_at) WHERE waiting_at IS NOT NULL;

CREATE TABLE message (
    project_id     TEXT NOT NULL,
    session_id     TEXT NOT NULL,
    seq            INTEGER NOT NULL,
    message_id     TEXT NOT NULL,
    turn_id        TEXT NOT NULL,
    role           TEXT NOT NULL,
    is_internal    INTEGER NOT NULL,
    text           TEXT,                          -- content that is one text
    parts          TEXT,                          -- any other content
    agent          TEXT,
    tool_calls     TEXT,
    tool_call_id   TEXT,
    tool_name      TEXT,
    is_incomplete  INTEGER NOT NULL,
    model          TEXT,
    input_tokens   INTEGER,
    output_tokens  INTEGER,
    message_ref    TEXT,
    channel        TEXT,
    created_at     INTEGER NOT NULL,
    PRIMARY KEY (project_id, session_id, seq),
    FOREIGN KEY (project_id, session_id) REFERENCES session ON DELETE CASCADE
) WITHOUT ROWID, STRICT;

CREATE UNIQUE INDEX message_by_id ON message (project_id, message_id);
CREATE INDEX message_by_ref ON message (project_id, session_id, message_ref)
    WHERE message_ref IS NOT NULL;

CREATE TABLE tool_call (
    project_id  TEXT NOT NULL,
    turn_id     TEXT NOT NULL,
    step        INTEGER NOT NULL,
    call_id     TEXT NOT NULL,
    name        TEXT NOT NULL,
    arguments   TEXT NOT NULL,
    result      TEXT,
    is_ok       INTEGER NOT NULL DEFAULT 0,
    begun_at    INTEGER NOT NULL,
    ended_at    INTEGER,
    PRIMARY KEY (project_id, turn_id, step),
    FOREIGN KEY (project_id, turn_id) REFERENCES turn ON DELETE CASCADE
) WITHOUT ROWID, STRICT;

CREATE TABLE turn_event (
    event_id    INTEGER PRIMARY KEY,
    project_id  TEXT NOT NULL,
    turn_id     TEXT NOT NULL,
    number      INTEGER NOT NULL,
    data        TEXT NOT NULL,
    created_at  INTEGER NOT NULL,
    UNIQUE (project_id, turn_id, number),
    FOREIGN KEY (project_id, turn_id) REFERENCES turn ON DELETE CASCADE
) STRICT;

-- ---------------------------------------------------------------- in and out

-- In the order of arrival, so that retention removes from the front.
CREATE TABLE inbox (
    inbox_id     INTEGER PRIMARY KEY,
    project_id   TEXT NOT NULL,
    account      TEXT NOT NULL,
    event_id     TEXT NOT NULL,
    second_id    TEXT,
    digest       BLOB NOT NULL,
    kind         TEXT NOT NULL,
    session_id   TEXT,
    turn_id      TEXT,
    message_id   TEXT,
    raw          BLOB,                            -- only of what could not be read
    reason       TEXT,
    received_at  INTEGER NOT NULL,
    created_at   INTEGER NOT NULL,
    UNIQUE (project_id, account, event_id)
) STRICT;

CREATE UNIQUE INDEX inbox_by_second_id ON inbox (project_id, account, second_id)
    WHERE second_id IS NOT NULL;
CREATE INDEX inbox_by_turn ON inbox (project_id, turn_id) WHERE turn_id IS NOT NULL;

-- One place in a lane: settled rows stay as history, an unsettled one blocks what stands behind it.
CREATE TABLE outbox (
    project_id         TEXT NOT NULL,
    turn_id            TEXT NOT NULL,
    part_no            INTEGER NOT NULL,
    delivery_id        TEXT NOT NULL,
    session_id         TEXT NOT NULL,
    message_id         TEXT,
    channel            TEXT NOT NULL,
    address_id         INTEGER NOT NULL,
    out_no             INTEGER NOT NULL,
    state              TEXT NOT NULL,
    attempts           INTEGER NOT NULL DEFAULT 0,
    next_at            INTEGER,                   -- NULL behind others of the lane, or not due ever
    owner              TEXT,                      -- only while sending
    sent_started_at    INTEGER,
    open_ref           TEXT,
    provider_id        TEXT,
    receipt            TEXT,
    error              TEXT,
    is_command_answer  INTEGER NOT NULL,
    settled_at         INTEGER,                   -- NULL while pending, sending, open, ambiguous
    created_at         INTEGER NOT NULL,
    part               TEXT NOT NULL,
    PRIMARY KEY (project_id, turn_id, part_no),
    FOREIGN KEY (project_id, turn_id) REFERENCES turn ON DELETE CASCADE,
    FOREIGN KEY (address_id) REFERENCES address
) WITHOUT ROWID, STRICT;

CREATE UNIQUE INDEX outbox_by_id ON outbox (delivery_id);
CREATE INDEX outbox_lane ON outbox (address_id, out_no) WHERE settled_at IS NULL;
CREATE INDEX outbox_held ON outbox (address_id) WHERE state = 'held';
CREATE INDEX outbox_due ON outbox (channel, next_at) WHERE next_at IS NOT NULL;
CREATE INDEX outbox_doubtful ON outbox (next_at) WHERE state = 'ambiguous';
CREATE INDEX outbox_sending ON outbox (owner) WHERE owner IS NOT NULL;
CREATE INDEX outbox_by_provider_id ON outbox (project_id, provider_id)
    WHERE provider_id IS NOT NULL;
CREATE INDEX outbox_given_up ON outbox (state, created_at)
    WHERE state IN ('held', 'dead', 'expired');

CREATE TABLE cursor (
    account     TEXT NOT NULL,
    name        TEXT NOT NULL,
    value       TEXT NOT NULL,
    updated_at  INTEGER NOT NULL,
    PRIMARY KEY (account, name)
) WITHOUT ROWID, STRICT;

-- What a repeated request gets: the turn its first copy made, or the stored answer.
CREATE TABLE idempotency (
    idempotency_id  INTEGER PRIMARY KEY,
    principal_id    TEXT NOT NULL,
    route           TEXT NOT NULL,
    key             TEXT NOT NULL,
    fingerprint     BLOB NOT NULL,
    project_id      TEXT,
    turn_id         TEXT,
    status          INTEGER NOT NULL DEFAULT 0,   -- 0 = the first one is still at work
    headers         TEXT,
    body            BLOB,
    created_at      INTEGER NOT NULL,
    UNIQUE (principal_id, route, key)
) STRICT;

CREATE INDEX idempotency_by_turn ON idempotency (project_id, turn_id) WHERE turn_id IS NOT NULL;
CREATE INDEX idempotency_at_work ON idempotency (created_at)
    WHERE status = 0 AND turn_id IS NULL;

-- ---------------------------------------------------------------- accounts

CREATE TABLE api_key (
    project_id      TEXT NOT NULL,
    key_id          TEXT NOT NULL PRIMARY KEY,
    key_hash        BLOB NOT NULL UNIQUE,
    previous_hash   BLOB UNIQUE,
    created_at      INTEGER NOT NULL,
    fields          TEXT NOT NULL
) WITHOUT ROWID, STRICT;

CREATE TABLE usage (
    project_id     TEXT NOT NULL,
    bot            TEXT NOT NULL,
    day            INTEGER NOT NULL,              -- days since 1970, UTC
    turns          INTEGER NOT NULL,
    input_tokens   INTEGER NOT NULL,
    output_tokens  INTEGER NOT NULL,
    PRIMARY KEY (project_id, bot, day)
) WITHOUT ROWID, STRICT;

CREATE TABLE audit (
    audit_id    INTEGER PRIMARY KEY,
    project_id  TEXT NOT NULL,
    action      TEXT NOT NULL,
    target      TEXT NOT NULL,
    detail      TEXT,
    at          INTEGER NOT NULL
) STRICT;

-- ---------------------------------------------------------------- coordination

CREATE TABLE instance (
    instance_id   TEXT NOT NULL PRIMARY KEY,
    host          TEXT NOT NULL,
    version       TEXT NOT NULL,
    started_at    INTEGER NOT NULL,
    heartbeat_at  INTEGER NOT NULL,
    snapshot      TEXT
) WITHOUT ROWID, STRICT;

CREATE TABLE note (
    owner       TEXT NOT NULL,
    key         TEXT NOT NULL,
    value       TEXT NOT NULL,
    updated_at  INTEGER NOT NULL,
    PRIMARY KEY (owner, key)
) WITHOUT ROWID, STRICT;

CREATE TABLE bot_version (
    project_id  TEXT NOT NULL,
    slug        TEXT NOT NULL,
    number      INTEGER NOT NULL,
    digest      TEXT NOT NULL,
    config      TEXT NOT NULL,
    created_at  INTEGER NOT NULL,
    PRIMARY KEY (project_id, slug, number),
    UNIQUE (project_id, slug, digest)
) WITHOUT ROWID, STRICT;

CREATE TABLE pulse (
    pulse_id  INTEGER PRIMARY KEY CHECK (pulse_id = 1),
    at        INTEGER NOT NULL
) STRICT;

INSERT INTO pulse VALUES (1, 0);

-- ---------------------------------------------------------------- rows as they are read

CREATE VIEW session_row AS
SELECT s.session_id, s.project_id, s.bot, s.participant_id, s.channel,
       a.channel AS a_channel, a.chat, a.thread,
       s.agent, s.holder, s.title, s.state, s.metadata, s.tags, s.version, s.pending,
       s.ended_at, s.end_reason, s.created_at, s.updated_at,
       s.address_id, s.next_seq, s.next_message_seq, s.last_message_at, s.queued,
       s.ready_at, s.owner, s.epoch
  FROM session AS s LEFT JOIN address AS a ON a.address_id = s.address_id;

CREATE VIEW turn_row AS
SELECT turn_id, project_id, session_id, seq, kind, state, bot, attempts, crash_count, options,
       final_agent, model, input_tokens, output_tokens,
       error_code, error_message, error_retryable, is_incomplete, cancel_requested, bot_version,
       tool_calls, participant_id, channel, created_at, started_at, finished_at,
       first_message, last_message, parts, ready_at, source_order, group_id
  FROM turn;

CREATE VIEW message_row AS
SELECT message_id, role, text, parts, is_internal, agent, tool_calls, tool_call_id, tool_name,
       is_incomplete, model, input_tokens, output_tokens, message_ref, seq, session_id, turn_id,
       channel, created_at, project_id
  FROM message;

CREATE VIEW delivery_row AS
SELECT o.delivery_id, o.project_id, o.session_id, o.turn_id, o.part_no, o.out_no, a.account,
       a.channel AS a_channel, a.chat, a.thread, o.part, o.state, o.attempts, o.open_ref,
       o.provider_id, o.receipt, o.error, o.is_command_answer, o.next_at, o.sent_started_at,
       o.created_at, o.address_id, o.owner, o.channel, o.settled_at, a.blocked_until, o.message_id
  FROM outbox AS o JOIN address AS a ON a.address_id = o.address_id;

CREATE VIEW participant_row AS
SELECT participant_id, project_id, name, metadata, created_at, updated_at
  FROM participant;
