-- What operators look for on a bad day is found without walking through everything that is kept.

CREATE INDEX inbox_unreadable ON inbox (created_at) WHERE kind = 'unreadable';
CREATE INDEX audit_by_target ON audit (target);
