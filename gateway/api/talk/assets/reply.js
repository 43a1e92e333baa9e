/**
 * One reply of an agent: a bubble whose text grows smoothly while it streams and is final at the end. Text that
 * arrives in lumps is let out over the next frames; with reduced motion, or in a hidden tab, it shows at once.
 */

import { build } from "./build.js";
import { copyButton } from "./code.js";
import { closeOpen, showMarkdown } from "./markdown.js";
import { timeElement } from "./time.js";

/** A lump is let out within about this many frames, whatever its size. */
const FRAMES_PER_LUMP = 14;
const calm = matchMedia("(prefers-reduced-motion: reduce)");

export class Reply {
  #text = "";
  #shown = 0;
  #frame = 0;
  #isFinal = false;
  #settle;
  #state = build("p", { class: "message-state" });

  /**
   * @param {string | null} id the message's id; null for the dots that wait for one
   * @param {string} agent
   * @param {() => void} onGrow called after each change of size
   */
  constructor(id, agent, onGrow) {
    this.id = id;
    this.agent = agent;
    this.onGrow = onGrow;
    /** Resolves when the whole, final text is on the screen. */
    this.settled = new Promise((resolve) => (this.#settle = resolve));
    this.bubble = build("div", { class: "bubble prose", dir: "auto" }, typingDots(agent));
    this.element = build("article", { class: "message message-theirs is-streaming", tabindex: "-1" });
    this.element.append(this.bubble, this.#state);
  }

  get isFinal() {
    return this.#isFinal;
  }

  get isEmpty() {
    return this.#text === "";
  }

  /** More text has come. */
  append(text) {
    if (this.#isFinal) return;
    this.#text += text;
    this.#grow();
  }

  /** The text so far is void and starts over. */
  restart() {
    if (this.#isFinal) return;
    cancelAnimationFrame(this.#frame);
    this.#frame = 0;
    this.#text = "";
    this.#shown = 0;
    this.bubble.replaceChildren(typingDots(this.agent));
  }

  /** The reply is complete; `text` is the truth, whatever was streamed. An old one shows at once. */
  finish(text, at, isOld = false) {
    if (this.#isFinal) return;
    this.#isFinal = true;
    if (isOld || !text.startsWith(this.#text.slice(0, this.#shown))) this.#shown = text.length;
    this.#text = text;
    this.element.append(
      build(
        "div",
        { class: "message-foot" },
        timeElement(at),
        copyButton(() => this.#text),
      ),
    );
    this.#grow();
  }

  /** The reply ends here, unfinished. @param {string} note in a few words, why */
  breakOff(note) {
    this.finish(this.#text, new Date());
    this.#state.textContent = note;
  }

  #grow() {
    if (calm.matches || document.hidden) this.#shown = this.#text.length;
    if (this.#shown === this.#text.length) this.#show();
    else this.#frame ||= requestAnimationFrame(() => this.#step());
  }

  #step() {
    this.#frame = 0;
    const rest = this.#text.length - this.#shown;
    this.#shown += Math.min(rest, Math.max(2, Math.ceil(rest / FRAMES_PER_LUMP)));
    this.#show();
    if (this.#shown < this.#text.length) this.#frame = requestAnimationFrame(() => this.#step());
  }

  #show() {
    const isWhole = this.#isFinal && this.#shown === this.#text.length;
    this.bubble.querySelector(":scope > .typing")?.remove();
    showMarkdown(this.bubble, isWhole ? this.#text : closeOpen(this.#text.slice(0, this.#shown)));
    this.element.classList.toggle("is-streaming", !isWhole);
    if (isWhole) this.#settle();
    this.onGrow();
  }
}

function typingDots(agent) {
  const words = build("span", { class: "visually-hidden" }, `${agent} is writing`);
  return build("div", { class: "typing" }, words, build("i"), build("i"), build("i"));
}
