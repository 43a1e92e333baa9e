/**
 * What this browser remembers of a visit to one bot: the session token, the session's id and the message that is
 * still being answered. Takes and gives plain objects. Where storage is refused (private windows, blocked cookies)
 * it remembers for as long as the page is open. Message texts are kept only while they are unanswered.
 */

/**
 * @typedef {{token: string, sessionId: string, expiresAt: string}} Pass
 * @typedef {{key: string, text: string, turnId: string | null}} Pending
 */

export class Memory {
  /** @param {string} slug the bot this memory belongs to */
  constructor(slug) {
    this.name = `talk:${slug}`;
    this.value = this.#read();
  }

  /** @returns {Pass | null} */
  get pass() {
    return this.value.pass ?? null;
  }

  set pass(pass) {
    this.#write({ ...this.value, pass });
  }

  /** True when the visitor asked for a new conversation and has not said anything in it yet. */
  get startsNew() {
    return this.value.startsNew ?? false;
  }

  set startsNew(startsNew) {
    this.#write({ ...this.value, startsNew });
  }

  /** The message that was sent and has no final answer yet. @returns {Pending | null} */
  get pending() {
    return this.value.pending ?? null;
  }

  set pending(pending) {
    this.#write({ ...this.value, pending });
  }

  #read() {
    try {
      return JSON.parse(localStorage.getItem(this.name) ?? "{}") ?? {};
    } catch {
      return {};
    }
  }

  #write(value) {
    this.value = value;
    try {
      localStorage.setItem(this.name, JSON.stringify(value));
    } catch {
      // Storage is full or refused: the value above still serves this page.
    }
  }
}
