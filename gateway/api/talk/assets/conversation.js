/**
 * Joins the visitor, the screen and the gateway: loads the transcript, sends messages, shows a turn's events as they
 * come, takes up an unfinished turn after a reload, and starts over. Decides what to show; `log.js` decides how.
 */

import { isSpoken, textOf } from "./log.js";
import { Problem } from "./problem.js";
import { followTurn } from "./turn.js";

export class Conversation {
  #parts;
  #leave = new AbortController();
  #turnId = null;
  #wantsStop = false;
  #told = new Set();
  #cursor = null;

  /**
   * @param {{api: import("./api.js").Api, memory: import("./memory.js").Memory, log: import("./log.js").Log,
   *   composer: import("./composer.js").Composer, frame: import("./main.js").Frame}} parts
   */
  constructor(parts) {
    this.#parts = parts;
  }

  /** Opens the session, shows its transcript and goes on with what was being answered. */
  async start() {
    const { memory, log, composer, frame } = this.#parts;
    try {
      await this.#load();
    } catch (error) {
      log.fail(Problem.of(error).sentence, "Try again", () => this.start());
      return;
    } finally {
      frame.loaded();
    }
    composer.open();
    frame.showEarlier(this.#cursor !== null);
    frame.showHero(log.isEmpty && !memory.pending);
    if (memory.pending) await this.#resume(memory.pending);
  }

  /** The page before the oldest message shown. */
  async earlier() {
    const { api, log, frame } = this.#parts;
    const page = await api.messages(this.#cursor).catch(() => null);
    if (!page) return;
    this.#cursor = page.has_more ? page.next_cursor : null;
    frame.keepPlace(() => log.addEarlier(page.data.toReversed(), this.#cursor === null));
    frame.showEarlier(this.#cursor !== null);
  }

  /** Shows what came meanwhile, for instance in another tab. */
  async refresh() {
    const { api, log, composer, frame } = this.#parts;
    if (composer.isBusy) return;
    const page = await api.messages(null).catch(() => null);
    if (!page || composer.isBusy) return;
    log.addTranscript(page.data.toReversed());
    frame.showHero(log.isEmpty);
  }

  /** Sends what the visitor wrote. */
  async send(text) {
    if (text === "/new") return this.restart();
    const { memory, log, frame } = this.#parts;
    const pending = { key: randomKey(), text, turnId: null };
    memory.pending = pending;
    frame.showHero(false);
    log.clearFailures();
    const mine = log.addMine(text);
    mine.classList.add("is-sending");
    frame.pin();
    await this.#run(pending, mine);
  }

  /** Asks the gateway to stop the reply; the turn's last event tells that it did. */
  async stop() {
    this.#parts.composer.stopping();
    this.#wantsStop = true;
    if (this.#turnId) await this.#cancel();
  }

  /** Leaves this session for a new, empty one. */
  restart() {
    const { api, log, composer, frame } = this.#parts;
    if (this.#turnId) this.#cancel();
    this.#leave.abort();
    this.#leave = new AbortController();
    this.#turnId = null;
    log.rest();
    composer.busy = false;
    api.leaveSession();
    log.clear();
    this.#cursor = null;
    composer.open();
    frame.tell("");
    frame.showEarlier(false);
    frame.showHero(true);
    frame.readyToWrite();
  }

  async #load() {
    const { api, log } = this.#parts;
    let page;
    try {
      page = await api.messages(null);
    } catch (error) {
      if (Problem.of(error).code !== "session_lost") throw error;
      page = await api.messages(null);
    }
    this.#cursor = page.has_more ? page.next_cursor : null;
    log.clear();
    log.addTranscript(page.data.toReversed(), this.#cursor === null);
  }

  async #resume(pending) {
    const { log, frame } = this.#parts;
    const isStored = pending.turnId !== null && log.hasTurn(pending.turnId);
    const mine = isStored ? null : log.addMine(pending.text);
    frame.pin();
    await this.#run(pending, mine);
  }

  async #run(pending, mine) {
    const { api, memory, log, composer, frame } = this.#parts;
    const { signal } = this.#leave;
    this.#turnId = pending.turnId;
    this.#wantsStop = false;
    this.#told.clear();
    composer.busy = true;
    frame.readyToWrite();
    log.wait();
    try {
      for await (const event of followTurn(api, pending, signal)) {
        if (event.type === "turn.created") this.#began(event.data.turn, pending, mine);
        if (event.type === "connection.lost") this.#lost(pending);
        else frame.tell("");
        this.#show(event, pending);
      }
      if (signal.aborted) return;
      memory.pending = null;
      await log.settled();
    } catch (error) {
      if (signal.aborted) return;
      this.#failSend(Problem.of(error), pending, mine);
    }
    frame.tell("");
    log.rest();
    log.stopTools();
    composer.busy = false;
    this.#turnId = null;
  }

  /** The connection broke. Nobody is writing an answer to a message that was not sent yet. */
  #lost(pending) {
    const { log, frame } = this.#parts;
    if (!pending.turnId) log.rest();
    if (navigator.onLine) frame.tell("Connection lost. Reconnecting…");
    else if (pending.turnId) frame.tell("You are offline. The reply continues when you are back.");
    else frame.tell("You are offline. Your message is sent when you are back.");
  }

  #began(turn, pending, mine) {
    const { memory, log } = this.#parts;
    pending.turnId = turn.id;
    memory.pending = pending;
    this.#turnId = turn.id;
    log.confirmMine(turn.id, mine);
    if (this.#wantsStop) this.#cancel();
  }

  /** One event of the turn on the screen. Types this page does not know are left alone. */
  #show({ type, data }, pending) {
    const { log } = this.#parts;
    switch (type) {
      case "turn.created":
      case "turn.in_progress":
        log.takeBack();
        log.wait();
        break;
      case "message.created":
        if (isSpoken(data.message)) this.#reply(data.message);
        break;
      case "message.delta":
        log.find(data.message_id)?.append(data.text);
        break;
      case "message.restarted":
        log.find(data.message_id)?.restart();
        break;
      case "message.completed":
        this.#completed(data.message);
        break;
      case "tool.started":
        log.toolStarted(data.call_id, data.name);
        break;
      case "tool.completed":
        log.toolCompleted(data.call_id, data.name, data.ok !== false);
        log.wait();
        break;
      case "agent.handoff":
        log.handOff(data.to);
        log.wait();
        break;
      case "turn.completed":
        this.#reconcile(data.turn.messages);
        break;
      case "turn.cancelled":
      case "turn.incomplete":
        log.breakOff("Stopped");
        if (this.#told.size === 0) log.note("Stopped");
        break;
      case "turn.failed":
      case "turn.requires_action":
        log.breakOff("Broken off");
        this.#offerAgain(pending);
        break;
    }
  }

  #completed(message) {
    const text = textOf(message);
    if (!isSpoken(message) || !text) return;
    const at = message.created_at ? new Date(message.created_at) : new Date();
    this.#reply(message, at).finish(text, at);
  }

  #reply(message, at) {
    this.#told.add(message.id);
    return this.#parts.log.reply(message, at);
  }

  /** The turn as it was stored is the truth: shows what was missed, takes back what came to nothing. */
  #reconcile(messages) {
    if (!Array.isArray(messages)) return;
    const stored = new Set(messages.map((message) => message.id));
    for (const id of this.#told) {
      if (!stored.has(id)) this.#parts.log.remove(id);
    }
    for (const message of messages) this.#completed(message);
  }

  /** The turn ended badly: the same words can be sent as a new message. */
  #offerAgain(pending) {
    const { sentence } = new Problem({ code: "reply_failed" });
    this.#parts.log.fail(sentence, "Try again", () => this.send(pending.text));
  }

  /** The message did not get through, or its reply could not be followed to the end. */
  #failSend(problem, pending, mine) {
    const { memory, log, composer } = this.#parts;
    mine?.classList.remove("is-sending");
    if (problem.isFinal) {
      memory.pending = null;
      mine?.remove();
      log.fail(problem.sentence, "New conversation", () => this.restart());
      composer.restore(pending.text);
    } else if (problem.needsEdit) {
      memory.pending = null;
      mine?.remove();
      log.fail(problem.sentence, "Dismiss", () => composer.focus());
      composer.restore(pending.text);
    } else {
      log.fail(problem.sentence, "Try again", () => this.#run(pending, mine));
    }
  }

  async #cancel() {
    const turnId = this.#turnId;
    await this.#parts.api.cancel(turnId).catch(() => {
      // The reply goes on and its end is shown; a second press of stop asks again.
      if (this.#turnId === turnId) this.#parts.composer.busy = true;
    });
  }
}

/** `crypto.randomUUID` exists only in secure contexts; this page also serves plain http in a local network. */
function randomKey() {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}
