/**
 * Keeps the newest message in view while the reader is at the end, never while they read further up, and offers
 * the way back down.
 */

const AT_END_PX = 64;

export class Scroll {
  #scroller;
  #toEnd;
  #isPinned = true;

  /** @param {HTMLElement} scroller @param {HTMLButtonElement} toEnd */
  constructor(scroller, toEnd) {
    this.#scroller = scroller;
    this.#toEnd = toEnd;
    scroller.addEventListener("scroll", () => this.#look(), { passive: true });
    toEnd.addEventListener("click", () => this.pin("smooth"));
    new ResizeObserver(() => this.follow()).observe(scroller);
  }

  /** Something grew at the end. */
  follow() {
    if (this.#isPinned) this.#scroller.scrollTop = this.#scroller.scrollHeight;
    else this.#toEnd.classList.add("has-news");
    this.#offer();
  }

  /** Goes to the end and stays there. @param {ScrollBehavior} behavior */
  pin(behavior = "instant") {
    this.#isPinned = true;
    this.#scroller.scrollTo({ top: this.#scroller.scrollHeight, behavior });
    this.#offer();
  }

  /** Runs `grow`, which adds above what is read, without moving what is read. */
  keepPlace(grow) {
    const fromEnd = this.#scroller.scrollHeight - this.#scroller.scrollTop;
    grow();
    this.#scroller.scrollTop = this.#scroller.scrollHeight - fromEnd;
  }

  #look() {
    this.#isPinned = this.#distance() < AT_END_PX;
    if (this.#isPinned) this.#toEnd.classList.remove("has-news");
    this.#offer();
  }

  #offer() {
    this.#toEnd.hidden = this.#isPinned || this.#distance() < AT_END_PX;
  }

  #distance() {
    const { scrollHeight, scrollTop, clientHeight } = this.#scroller;
    return scrollHeight - scrollTop - clientHeight;
  }
}
