-- Who said what, messages that grew, and parts that a platform gave back.

ALTER TABLE message ADD COLUMN sender_id TEXT;              -- the platform's id of who wrote
ALTER TABLE message ADD COLUMN sender_name TEXT;
ALTER TABLE outbox ADD COLUMN opened_at INTEGER;            -- since then it may stand there, growing
ALTER TABLE outbox ADD COLUMN refused_id TEXT;  -- the try that was taken and failed; '' = no id

DROP VIEW message_row;
CREATE VIEW message_row AS
SELECT message_id, role, text, parts, is_internal, agent, tool_calls, tool_call_id, tool_name,
       is_incomplete, model, input_tokens, output_tokens, message_ref, seq, session_id, turn_id,
       channel, created_at, project_id, sender_id, sender_name
  FROM message;

DROP VIEW delivery_row;
CREATE VIEW delivery_row AS
SELECT o.delivery_id, o.project_id, o.session_id, o.turn_id, o.part_no, o.out_no, a.account,
       a.channel AS a_channel, a.chat, a.thread, o.part, o.state, o.attempts, o.open_ref,
       o.provider_id, o.receipt, o.error, o.is_command_answer, o.next_at, o.sent_started_at,
       o.created_at, o.address_id, o.owner, o.channel, o.settled_at, a.blocked_until, o.message_id,
       o.opened_at, o.refused_id
  FROM outbox AS o JOIN address AS a ON a.address_id = o.address_id;
