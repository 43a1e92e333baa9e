/**
 * One message and everything that happens to it, as a stream that survives broken connections: sends it (or takes
 * up a turn that already runs), and on a break resumes after the last event seen, backing off. The Idempotency-Key
 * makes repeated sending safe. Gives the turn's events once each, in order, ending with exactly one final event.
 */

import { readEvents } from "./events.js";
import { Problem } from "./problem.js";

const LAST = new Set(["turn.completed", "turn.failed", "turn.cancelled", "turn.incomplete", "turn.requires_action"]);
const WAITS_MS = [400, 1000, 2000, 4000, 8000, 15_000, 15_000, 15_000];

/**
 * @param {import("./api.js").Api} api
 * @param {import("./memory.js").Pending} pending
 * @param {AbortSignal} signal
 * @returns {AsyncGenerator<import("./events.js").ServerEvent>} also yields `connection.lost` while it waits to retry
 */
export async function* followTurn(api, pending, signal) {
  let seen = null;
  let turnId = pending.turnId;
  let tries = 0;
  for (;;) {
    let wait = null;
    try {
      const response = await (turnId ? api.follow(turnId, seen, signal) : api.send(pending.text, pending.key, signal));
      if (!turnId && !isStream(response)) {
        turnId = (await response.json()).id;
        yield { type: "turn.created", seq: null, data: { turn: { id: turnId } } };
        continue;
      }
      for await (const event of readEvents(response, signal)) {
        if (event.seq !== null && seen !== null && event.seq <= seen) continue;
        tries = 0;
        seen = event.seq ?? seen;
        turnId ??= event.data.turn?.id ?? null;
        yield event;
        if (LAST.has(event.type)) return;
      }
    } catch (error) {
      if (signal.aborted) return;
      const problem = Problem.of(error);
      if (!problem.isPassing || tries >= WAITS_MS.length) throw problem;
      wait = problem.retryAfterS;
    }
    if (signal.aborted) return;
    if (tries >= WAITS_MS.length) throw new Problem({ code: "network" });
    yield { type: "connection.lost", seq: null, data: {} };
    await pause(wait ? wait * 1000 : WAITS_MS[tries], signal);
    tries += 1;
  }
}

function isStream(response) {
  return (response.headers.get("Content-Type") ?? "").startsWith("text/event-stream");
}

/** Waits, but no longer than until the network is back or the person leaves. */
function pause(ms, signal) {
  const jitter = ms * (0.8 + Math.random() * 0.4);
  return new Promise((resolve) => {
    const timer = setTimeout(finish, jitter);
    window.addEventListener("online", finish);
    signal.addEventListener("abort", finish);
    function finish() {
      clearTimeout(timer);
      window.removeEventListener("online", finish);
      signal.removeEventListener("abort", finish);
      resolve();
    }
  });
}
