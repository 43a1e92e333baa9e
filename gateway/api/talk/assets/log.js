/**
 * The visible conversation: bubbles of both sides, who speaks, hand-offs, days, tool chips and failures. Takes the
 * gateway's messages and events as plain values; keeps one element a message, so that a replayed event changes what
 * is there instead of adding to it. Knows nothing of the network.
 */

import { build, icon } from "./build.js";
import { Reply } from "./reply.js";
import { dayInWords, isSameDay, timeElement } from "./time.js";

const TINTS = 6;

export class Log {
  /** @type {Map<string, Reply>} */
  #replies = new Map();
  #chips = new Map();
  #seen = new Set();
  /** The visitor's messages by turn: the page draws them before the transcript knows them. */
  #mine = new Map();
  #speaker = null;
  #agent;
  #day = null;
  #waiting = null;

  /**
   * @param {HTMLElement} root
   * @param {{startAgent: string, onGrow: () => void}} options `startAgent` speaks first and needs no introduction
   */
  constructor(root, { startAgent, onGrow }) {
    this.root = root;
    this.startAgent = startAgent;
    this.#agent = startAgent;
    this.onGrow = onGrow;
    root.addEventListener("keydown", (event) => moveFocus(root, event));
  }

  get isEmpty() {
    return this.root.childElementCount === 0;
  }

  clear() {
    this.root.replaceChildren();
    for (const known of [this.#replies, this.#chips, this.#seen, this.#mine]) known.clear();
    this.#speaker = null;
    this.#agent = this.startAgent;
    this.#day = null;
    this.#waiting = null;
  }

  /** True where the visitor's message of this turn is on screen. @param {string} turnId */
  hasTurn(turnId) {
    return this.#mine.has(turnId);
  }

  /**
   * Draws messages of the transcript, oldest first, after what is there.
   * `isBeginning` false says that older ones exist, so nobody can be said to have joined before the first.
   */
  addTranscript(messages, isBeginning = true) {
    if (!isBeginning && this.isEmpty) this.#agent = null;
    for (const message of messages) {
      if (!this.#seen.has(message.id)) this.#addStored(message);
      this.#seen.add(message.id);
    }
    for (const element of this.root.querySelectorAll(".is-new")) element.classList.remove("is-new");
  }

  /** Draws older messages of the transcript before what is there. */
  addEarlier(messages, isBeginning) {
    const startAgent = isBeginning ? this.startAgent : null;
    const batch = new Log(build("div"), { startAgent, onGrow: () => {} });
    batch.addTranscript(messages);
    this.root.prepend(...batch.root.childNodes);
    const days = new Set();
    for (const line of this.root.querySelectorAll("[data-day]")) {
      if (days.has(line.dataset.day)) line.remove();
      days.add(line.dataset.day);
    }
  }

  /** The visitor's own message. Gives its element. */
  addMine(text, at = new Date()) {
    this.#startDay(at);
    const bubble = build("div", { class: "bubble", dir: "auto" }, text);
    const foot = build("div", { class: "message-foot" }, timeElement(at));
    const who = build("span", { class: "visually-hidden" }, "You said:");
    const element = build("article", { class: "message message-mine is-new", tabindex: "-1" }, who, bubble, foot);
    this.#place(element);
    this.#speaker = "me";
    return element;
  }

  /** The visitor's message was accepted as this turn; a second copy of it is removed. */
  confirmMine(turnId, element) {
    if (!element) return;
    const known = this.#mine.get(turnId);
    if (known && known !== element) element.remove();
    else this.#mine.set(turnId, element);
    element.classList.remove("is-sending");
  }

  /** The dots of somebody about to answer; taken over by the next reply. */
  wait() {
    if (this.#waiting) return;
    this.#waiting = this.#newReply(null, this.#agent);
    this.root.setAttribute("aria-busy", "true");
  }

  /** Nobody is about to answer any more. */
  rest() {
    this.#waiting?.element.remove();
    this.#waiting = null;
    this.root.setAttribute("aria-busy", "false");
  }

  /** The reply with this message's id: the one on screen, else the waiting dots, else a new bubble. */
  reply(message, at = new Date()) {
    const known = this.#replies.get(message.id);
    if (known) return known;
    const agent = message.role === "operator" ? "Team" : (message.agent ?? this.#agent);
    this.#startDay(at);
    this.handOff(agent);
    let reply = this.#waiting;
    this.#waiting = null;
    if (reply === null) reply = this.#newReply(message.id, agent);
    reply.id = message.id;
    this.#replies.set(message.id, reply);
    this.#seen.add(message.id);
    return reply;
  }

  /** @param {string} id */
  find(id) {
    return this.#replies.get(id);
  }

  /** Resolves when every finished reply is on the screen to its last letter. */
  async settled() {
    const finished = [...this.#replies.values()].filter((reply) => reply.isFinal);
    await Promise.all(finished.map((reply) => reply.settled));
  }

  /** Ends every reply that is still being written. @param {string} note */
  breakOff(note) {
    for (const [id, reply] of this.#replies) {
      if (reply.isEmpty) this.remove(id);
      else if (!reply.isFinal) reply.breakOff(note);
    }
  }

  /** Takes back every reply that is still being written: the turn is tried once more from its start. */
  takeBack() {
    for (const [id, reply] of this.#replies) {
      if (!reply.isFinal) this.remove(id);
    }
  }

  /** Takes a reply off the screen. @param {string} id */
  remove(id) {
    this.#replies.get(id)?.element.remove();
    this.#replies.delete(id);
    this.#speaker = null;
  }

  /** Another agent takes over: a line across the conversation. */
  handOff(agent) {
    if (!agent || agent === this.#agent) return;
    const isFirst = this.#agent === null;
    this.#agent = agent;
    if (isFirst) return;
    this.#speaker = null;
    const isWaiting = this.#waiting !== null;
    if (isWaiting) this.rest();
    const words = build("span", {}, build("b", {}, agent), " joined");
    this.#place(build("div", { class: "divider" }, words));
    if (isWaiting) this.wait();
  }

  /** A tool has begun; the chip stays and tells how it ended. */
  toolStarted(callId, name) {
    if (this.#chips.has(callId)) return;
    const words = build("span", {}, `${toolInWords(name)}…`);
    const chip = build("div", { class: "chip is-new" }, build("span", { class: "spinner" }), words);
    this.#chips.set(callId, chip);
    this.#place(chip);
  }

  toolCompleted(callId, name, ok) {
    this.toolStarted(callId, name);
    const chip = this.#chips.get(callId);
    const words = build("span", {}, ok ? toolInWords(name) : `${toolInWords(name)} did not work`);
    chip.replaceChildren(icon(ok ? "check" : "cross"), words);
    chip.classList.add(ok ? "is-done" : "is-failed");
  }

  /** Chips that still turn are stopped with the turn. */
  stopTools() {
    for (const chip of this.#chips.values()) chip.querySelector(".spinner")?.replaceWith(icon("cross"));
  }

  /** A quiet line, for instance that the reply was stopped. */
  note(text) {
    const line = build("div", { class: "divider" }, build("span", {}, text));
    this.#place(line);
    this.#speaker = null;
    return line;
  }

  /** Says what went wrong and offers the way out. */
  fail(sentence, label, action) {
    const button = build("button", { type: "button" }, label);
    const row = build("div", { class: "failure" }, icon("alert"), build("span", {}, sentence), button);
    button.addEventListener("click", () => {
      row.remove();
      action();
    });
    this.#place(row);
    this.#speaker = null;
  }

  /** Takes away what went wrong before: the visitor goes on. */
  clearFailures() {
    for (const row of this.root.querySelectorAll(".failure")) row.remove();
  }

  #newReply(id, agent) {
    const reply = new Reply(id, agent, this.onGrow);
    const name = build("span", {}, agent);
    reply.element.prepend(build("div", { class: "message-head" }, avatar(agent), name));
    reply.element.classList.add("is-new");
    reply.element.classList.toggle("is-continued", this.#speaker === agent);
    this.#place(reply.element);
    this.#speaker = agent;
    return reply;
  }

  #startDay(at) {
    if (this.#day && isSameDay(this.#day, at)) return;
    const isFirstAndToday = this.#day === null && isSameDay(at, new Date());
    this.#day = at;
    if (!isFirstAndToday) this.note(dayInWords(at)).dataset.day = at.toDateString();
  }

  #addStored(message) {
    const text = textOf(message);
    if (!text) return;
    const at = new Date(message.created_at);
    if (isSpoken(message)) this.reply(message, at).finish(text, at, true);
    else if (message.role === "user" && !this.#mine.has(message.turn_id)) {
      this.#mine.set(message.turn_id, this.addMine(text, at));
    }
  }

  /** New things go to the end, but the waiting dots stay last. */
  #place(element) {
    if (this.#waiting && element !== this.#waiting.element) this.#waiting.element.before(element);
    else this.root.append(element);
    if (element.classList.contains("message")) makeReachable(this.root, element);
    this.onGrow();
  }
}

/** All text of a message. */
export function textOf(message) {
  const parts = Array.isArray(message.content) ? message.content : [];
  return parts.map((part) => (part.type === "text" ? part.text : "")).join("");
}

/** What a visitor should see as a reply: not the internal messages, not the tools' results. */
export function isSpoken(message) {
  const isSpeaker = message.role === "assistant" || message.role === "operator";
  return isSpeaker && (message.visibility ?? "external") === "external";
}

function avatar(agent) {
  const words = agent.split(/[\s_-]+/u).filter(Boolean);
  const letters = words.slice(0, 2).map((word) => [...word][0].toLocaleUpperCase());
  const element = build("span", { class: "avatar", "aria-hidden": "true" }, letters.join(""));
  const tint = [...agent].reduce((sum, character) => (sum * 37 + character.codePointAt(0)) % 997, 7) % TINTS;
  element.style.setProperty("background", `var(--tint-${tint}-wash)`);
  element.style.setProperty("color", `var(--tint-${tint}-ink)`);
  return element;
}

/** `get_outstanding_balance` as "Get outstanding balance". */
function toolInWords(name) {
  const words = name.replace(/[_-]+/g, " ").trim();
  return words.charAt(0).toLocaleUpperCase() + words.slice(1);
}

/** One message at a time is a tab stop; the arrow keys go from one to the next. */
function makeReachable(root, element) {
  root.querySelector('.message[tabindex="0"]')?.setAttribute("tabindex", "-1");
  element.setAttribute("tabindex", "0");
}

function moveFocus(root, event) {
  const step = { ArrowUp: -1, ArrowDown: 1 }[event.key];
  const from = event.target.closest(".message");
  if (!step || event.target !== from) return;
  const messages = [...root.querySelectorAll(".message")];
  const next = messages[messages.indexOf(from) + step];
  if (!next) return;
  event.preventDefault();
  makeReachable(root, next);
  next.focus();
}
