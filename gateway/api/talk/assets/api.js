/**
 * The gateway as this page sees it: opens and renews the visitor's session, reads the transcript, sends a message,
 * follows and cancels a turn. Gives JSON or streaming Responses, raises Problem. Draws nothing.
 */

import { Problem } from "./problem.js";

/** Renew this long before the token runs out, so that no request starts with a token about to expire. */
const RENEW_BEFORE_MS = 5 * 60_000;

/** Addresses are relative to the page, so that a path prefix of a proxy is kept. */
const V1 = new URL("../v1/", document.baseURI);

export class Api {
  #memory;
  #opening = null;
  #sessionAddress;

  /** @param {string} slug @param {import("./memory.js").Memory} memory */
  constructor(slug, memory) {
    this.#memory = memory;
    this.#sessionAddress = new URL(`${encodeURIComponent(slug)}/session`, document.baseURI);
  }

  /**
   * A valid session: the remembered one, renewed where it is about to expire, else a new one.
   * Raises `session_lost` once where the remembered session could not be kept; the next call has a new one.
   */
  async ensureSession() {
    const { pass, startsNew } = this.#memory;
    if (startsNew) return this.#open({ new: true });
    if (pass && Date.parse(pass.expiresAt) - Date.now() > RENEW_BEFORE_MS) return pass;
    return this.#open({});
  }

  /** Leaves the present session. The next is opened with its first message, so that looking costs nothing. */
  leaveSession() {
    this.#memory.pending = null;
    this.#memory.startsNew = true;
  }

  /** Up to 50 messages before a cursor, newest first. @param {string | null} cursor */
  async messages(cursor) {
    if (this.#memory.startsNew || !this.#memory.pass) return { data: [], has_more: false, next_cursor: null };
    const { sessionId } = await this.ensureSession();
    const query = new URLSearchParams({ order: "desc", limit: "50", ...(cursor && { cursor }) });
    const response = await this.#call(`sessions/${sessionId}/messages?${query}`);
    return response.json();
  }

  /** Sends a message; the same key never makes a second turn. Gives the stream of its events. */
  async send(text, key, signal) {
    const { sessionId } = await this.ensureSession();
    return this.#call(`sessions/${sessionId}/messages`, {
      method: "POST",
      headers: { "Content-Type": "application/json", "Idempotency-Key": key, Accept: "text/event-stream" },
      body: JSON.stringify({ input: text, stream: true, background: true }),
      signal,
    });
  }

  /** The events of a turn after a sequence number: what was missed, then what comes. */
  async follow(turnId, afterSeq, signal) {
    const headers = { Accept: "text/event-stream", ...(afterSeq !== null && { "Last-Event-ID": String(afterSeq) }) };
    return this.#call(`turns/${turnId}/events`, { headers, signal });
  }

  /** Asks for a turn to stop; a turn that already ended is fine too. */
  async cancel(turnId) {
    await this.#call(`turns/${turnId}/cancel`, { method: "POST" }).catch((problem) => {
      if (problem.status !== 409) throw problem;
    });
  }

  async #call(path, init = {}) {
    await this.ensureSession();
    let response = await this.#fetch(new URL(path, V1), init);
    if (response.status === 401) {
      await this.#open({});
      response = await this.#fetch(new URL(path, V1), init);
    }
    if (!response.ok) throw await Problem.from(response);
    return response;
  }

  /** Opens or renews; calls at the same moment share one request. */
  #open(body) {
    this.#opening ??= this.#requestSession(body).finally(() => {
      this.#opening = null;
    });
    return this.#opening;
  }

  async #requestSession(body) {
    const before = this.#memory.pass;
    const init = { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body) };
    let response = await this.#fetch(this.#sessionAddress, init);
    if (before && [401, 403, 404].includes(response.status)) {
      this.#memory.pass = null;
      response = await this.#fetch(this.#sessionAddress, init);
    }
    if (!response.ok) throw await Problem.from(response);
    const opened = await response.json();
    const pass = { token: opened.token, sessionId: opened.session_id, expiresAt: opened.expires_at };
    this.#memory.pass = pass;
    this.#memory.startsNew = false;
    if (before && !body.new && before.sessionId !== pass.sessionId) {
      this.#memory.pending = null;
      throw new Problem({ code: "session_lost" });
    }
    return pass;
  }

  async #fetch(address, init) {
    const token = this.#memory.pass?.token;
    const headers = { ...init.headers, ...(token && { Authorization: `Bearer ${token}` }) };
    try {
      return await fetch(address, { ...init, headers, credentials: "omit", cache: "no-store" });
    } catch (error) {
      if (error?.name === "AbortError") throw error;
      throw new Problem({ code: navigator.onLine ? "network" : "offline" });
    }
  }
}
