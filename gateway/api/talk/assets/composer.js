/**
 * Where the visitor writes: grows with the text, Enter sends, Shift+Enter starts a line, and the send button turns
 * into a stop button while a reply is being written.
 */

export class Composer {
  #text;
  #send;
  #stop;
  #isBusy = false;
  #isOpen = false;

  /**
   * @param {{form: HTMLFormElement, text: HTMLTextAreaElement, send: HTMLButtonElement, stop: HTMLButtonElement}} parts
   * @param {{onSend: (text: string) => void, onStop: () => void}} reactions
   */
  constructor({ form, text, send, stop }, { onSend, onStop }) {
    this.#text = text;
    this.#send = send;
    this.#stop = stop;
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      this.#submit(onSend);
    });
    form.addEventListener("pointerdown", (event) => this.#focusFromFrame(event));
    stop.addEventListener("click", onStop);
    text.addEventListener("input", () => this.#refresh());
    text.addEventListener("keydown", (event) => {
      if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
      event.preventDefault();
      this.#submit(onSend);
    });
  }

  /** Sending is possible from now on. */
  open() {
    this.#isOpen = true;
    this.#refresh();
  }

  /** A reply is being written (or not any more). */
  set busy(isBusy) {
    const hadFocus = document.activeElement === this.#stop || document.activeElement === this.#send;
    this.#isBusy = isBusy;
    this.#stop.disabled = false;
    this.#refresh();
    if (hadFocus) this.focus();
  }

  get isBusy() {
    return this.#isBusy;
  }

  /** The stop button was used: once is enough. A disabled button loses the focus, so it moves first. */
  stopping() {
    if (document.activeElement === this.#stop) this.focus();
    this.#stop.disabled = true;
  }

  focus() {
    this.#text.focus({ preventScroll: true });
  }

  /** Puts a text back that could not be sent. Never over something already written. */
  restore(text) {
    if (!this.#text.value) this.#text.value = text;
    this.#refresh();
    this.focus();
  }

  #submit(onSend) {
    const text = this.#text.value.trim();
    if (!text || this.#isBusy || !this.#isOpen) return;
    this.#text.value = "";
    this.#refresh();
    onSend(text);
  }

  #focusFromFrame(event) {
    if (event.target.closest("button, textarea")) return;
    event.preventDefault();
    this.focus();
  }

  #refresh() {
    this.#send.hidden = this.#isBusy;
    this.#stop.hidden = !this.#isBusy;
    this.#send.disabled = !this.#isOpen || !this.#text.value.trim();
    this.#text.style.height = "auto";
    this.#text.style.height = `${this.#text.scrollHeight}px`;
  }
}
