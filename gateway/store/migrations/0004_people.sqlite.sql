-- Who may write: link codes, linked identities, consent.

ALTER TABLE identity ADD COLUMN linked_at INTEGER;              -- when it redeemed a link code
ALTER TABLE identity ADD COLUMN origin_participant_id TEXT;     -- whose it was before that
ALTER TABLE identity ADD COLUMN wrong_codes TEXT;               -- times of wrong codes, as JSON

-- The one person behind an address; unknown in groups.
ALTER TABLE address ADD COLUMN platform TEXT;
ALTER TABLE address ADD COLUMN external_id TEXT;
ALTER TABLE address ADD COLUMN refused_at INTEGER NOT NULL DEFAULT 0;

CREATE INDEX address_by_person ON address (project_id, platform, external_id)
    WHERE platform IS NOT NULL;

UPDATE address SET (platform, external_id) =
  (SELECT i.platform, i.external_id
     FROM session AS s
     JOIN identity AS i ON i.project_id = s.project_id AND i.participant_id = s.participant_id
    WHERE s.project_id = address.project_id AND s.session_id = address.session_id
      AND i.external_id = address.chat
    LIMIT 1);

-- Only the hash of a code is kept.
CREATE TABLE link_code (
    project_id      TEXT NOT NULL,
    code_hash       BLOB NOT NULL,
    participant_id  TEXT NOT NULL,
    expires_at      INTEGER NOT NULL,
    redeemed_by     TEXT,                       -- the identity that used it up
    PRIMARY KEY (project_id, code_hash),
    FOREIGN KEY (project_id, participant_id) REFERENCES participant ON DELETE CASCADE
) WITHOUT ROWID, STRICT;

CREATE INDEX link_code_by_participant ON link_code (project_id, participant_id);
CREATE INDEX link_code_by_end ON link_code (expires_at);

-- Participants that were merged into others; their ids lead on.
CREATE TABLE participant_alias (
    project_id      TEXT NOT NULL,
    alias_id        TEXT NOT NULL,
    participant_id  TEXT NOT NULL,
    merged_at       INTEGER NOT NULL,
    PRIMARY KEY (project_id, alias_id),
    FOREIGN KEY (project_id, participant_id) REFERENCES participant ON DELETE CASCADE
) WITHOUT ROWID, STRICT;

CREATE INDEX participant_alias_by_target ON participant_alias (project_id, participant_id);
