/** Entry of the chat page: finds the parts of the document, joins them, and starts the conversation. */

import { Api } from "./api.js";
import { Composer } from "./composer.js";
import { Conversation } from "./conversation.js";
import { Log } from "./log.js";
import { Memory } from "./memory.js";
import { Scroll } from "./scroll.js";
import { refreshTimes } from "./time.js";

const REFRESH_TIMES_MS = 30_000;

const hasKeyboard = matchMedia("(hover: hover) and (pointer: fine)");
const part = (id) => document.getElementById(id);
const app = part("app");

const memory = new Memory(app.dataset.slug);
const scroll = new Scroll(part("scroller"), part("to-end"));
const log = new Log(part("log"), { startAgent: app.dataset.startAgent, onGrow: () => scroll.follow() });

/** What the conversation may change around the messages. @typedef {typeof frame} Frame */
const frame = {
  loaded() {
    part("skeleton").hidden = true;
    part("new").disabled = false;
    if (!log.isEmpty) scroll.pin();
  },
  showHero(isShown) {
    part("hero").hidden = !isShown;
  },
  showEarlier(isShown) {
    part("earlier").hidden = !isShown;
  },
  keepPlace(grow) {
    scroll.keepPlace(grow);
  },
  pin() {
    scroll.pin();
  },
  /** Puts the focus where the visitor goes on; a phone's keyboard is not opened unasked. */
  readyToWrite() {
    if (hasKeyboard.matches) composer.focus();
    else if (document.activeElement === document.body) part("scroller").focus({ preventScroll: true });
  },
  /** One line above the messages; empty takes it away. */
  tell(text) {
    part("banner").textContent = text;
  },
};

const composer = new Composer(
  { form: part("composer"), text: part("message"), send: part("send"), stop: part("stop") },
  { onSend: (text) => conversation.send(text), onStop: () => conversation.stop() },
);
const conversation = new Conversation({ api: new Api(app.dataset.slug, memory), memory, log, composer, frame });

part("new").addEventListener("click", () => conversation.restart());
part("earlier").addEventListener("click", () => conversation.earlier());
part("prompts").addEventListener("click", (event) => {
  const prompt = event.target.closest("button");
  if (prompt) conversation.send(prompt.dataset.text);
});

window.addEventListener("offline", () => frame.tell("You are offline. Messages are sent when you are back."));
window.addEventListener("online", () => frame.tell(""));
document.addEventListener("visibilitychange", () => {
  if (!document.hidden) conversation.refresh();
});
setInterval(() => refreshTimes(part("log")), REFRESH_TIMES_MS);

/** The on-screen keyboard of some phones covers the page instead of shrinking it. */
window.visualViewport?.addEventListener("resize", () => {
  app.style.setProperty("--visible-height", `${window.visualViewport.height}px`);
});

if (hasKeyboard.matches) composer.focus();
await conversation.start();
