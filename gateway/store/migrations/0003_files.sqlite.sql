-- Files: what people sent and callers uploaded, in pieces, and the sessions that use them.
--
-- A file goes when the last session that used it does, whatever removed that.

ALTER TABLE project ADD COLUMN files INTEGER NOT NULL DEFAULT 0;   -- the last number given

CREATE TABLE file (
    project_id  TEXT NOT NULL,
    file_id     TEXT NOT NULL,
    number      INTEGER NOT NULL,
    origin      TEXT,                             -- the platform's own reference; NULL = uploaded
    name        TEXT,
    mime        TEXT NOT NULL,
    kind        TEXT NOT NULL,
    size_bytes  INTEGER NOT NULL,
    sha256      BLOB NOT NULL,
    used_at     INTEGER,                          -- NULL until a message has it
    created_at  INTEGER NOT NULL,
    PRIMARY KEY (project_id, file_id)
) WITHOUT ROWID, STRICT;

CREATE UNIQUE INDEX file_by_number ON file (project_id, number);
CREATE UNIQUE INDEX file_by_origin ON file (project_id, origin) WHERE origin IS NOT NULL;
CREATE INDEX file_by_age ON file (created_at);
CREATE INDEX file_not_used ON file (created_at) WHERE used_at IS NULL;

-- A file whose pieces are being written; its row in `file` ends that.
CREATE TABLE file_draft (
    project_id  TEXT NOT NULL,
    file_id     TEXT NOT NULL,
    created_at  INTEGER NOT NULL,
    PRIMARY KEY (project_id, file_id)
) WITHOUT ROWID, STRICT;

CREATE INDEX file_draft_by_age ON file_draft (created_at);

CREATE TABLE file_piece (
    piece_id    INTEGER PRIMARY KEY,
    project_id  TEXT NOT NULL,
    file_id     TEXT NOT NULL,
    piece_no    INTEGER NOT NULL,
    data        BLOB NOT NULL,
    UNIQUE (project_id, file_id, piece_no)
) STRICT;

CREATE TABLE file_use (
    project_id  TEXT NOT NULL,
    session_id  TEXT NOT NULL,
    file_id     TEXT NOT NULL,
    PRIMARY KEY (project_id, session_id, file_id),
    FOREIGN KEY (project_id, session_id) REFERENCES session ON DELETE CASCADE,
    FOREIGN KEY (project_id, file_id) REFERENCES file ON DELETE CASCADE
) WITHOUT ROWID, STRICT;

CREATE INDEX file_use_by_file ON file_use (project_id, file_id);

CREATE TRIGGER file_is_not_used_any_more AFTER DELETE ON file_use
BEGIN
    DELETE FROM file
     WHERE project_id = OLD.project_id AND file_id = OLD.file_id
       AND NOT EXISTS (SELECT 1 FROM file_use AS u
                        WHERE u.project_id = OLD.project_id AND u.file_id = OLD.file_id);
END;

CREATE TRIGGER file_is_gone AFTER DELETE ON file
BEGIN
    DELETE FROM file_piece WHERE project_id = OLD.project_id AND file_id = OLD.file_id;
END;

CREATE TRIGGER file_was_given_up AFTER DELETE ON file_draft
WHEN NOT EXISTS (SELECT 1 FROM file AS f
                  WHERE f.project_id = OLD.project_id AND f.file_id = OLD.file_id)
BEGIN
    DELETE FROM file_piece WHERE project_id = OLD.project_id AND file_id = OLD.file_id;
END;

CREATE VIEW file_row AS
SELECT file_id, project_id, number, name, mime, kind, size_bytes, sha256, created_at FROM file;
