/**
 * Everything that can go wrong between this page and the gateway, as one error type and one sentence a person can
 * act on. The gateway's own `detail` is for developers and is never shown.
 */

const SENTENCES = {
  network: "The connection was lost.",
  offline: "You are offline.",
  session_busy: "Several of your messages are still waiting for a reply. Give it a moment, then try again.",
  session_ended: "This conversation has ended. Start a new one to go on.",
  session_lost: "This conversation is no longer available. Start a new one to go on.",
  input_too_long: "That message is too long. Shorten it and send it again.",
  body_too_large: "That message is too long. Shorten it and send it again.",
  validation_failed: "That message could not be sent as it is. Change it and try again.",
  quota_exceeded: "The limit for today is used up. Try again later.",
  surface_disabled: "This chat is switched off at the moment.",
  turn_timeout: "The reply took too long.",
  reply_failed: "Something went wrong while writing the reply.",
};

/** Codes where sending the same thing again cannot help. */
const FINAL = new Set(["session_ended", "session_lost", "surface_disabled"]);
const NEEDS_EDIT = new Set(["input_too_long", "body_too_large", "validation_failed"]);

export class Problem extends Error {
  /** @param {{code?: string, status?: number, retryAfterS?: number | null}} facts */
  constructor({ code = "", status = 0, retryAfterS = null }) {
    super(code || `status ${status}`);
    this.code = code;
    this.status = status;
    this.retryAfterS = retryAfterS;
  }

  /** Any error as a problem: what is not ours already is a body that broke off. @param {unknown} error */
  static of(error) {
    return error instanceof Problem ? error : new Problem({ code: "network" });
  }

  /** The problem a refused response describes. @param {Response} response */
  static async from(response) {
    const wait = Number.parseInt(response.headers.get("Retry-After") ?? "", 10);
    const body = await response.json().catch(() => ({}));
    return new Problem({
      code: typeof body?.code === "string" ? body.code : "",
      status: response.status,
      retryAfterS: Number.isFinite(wait) ? wait : null,
    });
  }

  /** True where waiting and asking again, unchanged, is the right answer. */
  get isPassing() {
    if (["network", "offline", "idempotency_in_progress"].includes(this.code)) return true;
    return this.status === 503 || (this.code === "" && (this.status === 502 || this.status === 504));
  }

  get isFinal() {
    return FINAL.has(this.code);
  }

  get needsEdit() {
    return NEEDS_EDIT.has(this.code);
  }

  /** What to tell the person. */
  get sentence() {
    const known = SENTENCES[this.code];
    if (known) return known;
    if (this.status === 429) return `You are sending messages very quickly. Try again ${inWords(this.retryAfterS)}.`;
    if (this.isPassing) return "The service is not answering right now.";
    return "Something went wrong on our side.";
  }
}

function inWords(seconds) {
  if (!seconds || seconds < 2) return "in a moment";
  if (seconds < 90) return `in ${seconds} seconds`;
  return `in ${Math.ceil(seconds / 60)} minutes`;
}
