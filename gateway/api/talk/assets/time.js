/** When a message was written, in words: near times relative, far ones by clock and date, in the reader's locale. */

const MINUTE_MS = 60_000;
const DAY_MS = 24 * 60 * MINUTE_MS;
const relative = new Intl.RelativeTimeFormat(undefined, { numeric: "auto", style: "short" });
const clock = new Intl.DateTimeFormat(undefined, { timeStyle: "short" });
const day = new Intl.DateTimeFormat(undefined, { weekday: "long", day: "numeric", month: "long" });
const full = new Intl.DateTimeFormat(undefined, { dateStyle: "full", timeStyle: "short" });

/** @param {Date} at @param {Date} now */
export function timeInWords(at, now = new Date()) {
  const age = now - at;
  if (age < MINUTE_MS) return "just now";
  if (age < 60 * MINUTE_MS) return relative.format(-Math.floor(age / MINUTE_MS), "minute");
  return clock.format(at);
}

/** The heading over a day's messages: today, yesterday, or the date. */
export function dayInWords(at, now = new Date()) {
  const days = Math.round((startOfDay(now) - startOfDay(at)) / DAY_MS);
  if (days > 1) return day.format(at);
  const words = new Intl.RelativeTimeFormat(undefined, { numeric: "auto" }).format(-days, "day");
  return words.charAt(0).toLocaleUpperCase() + words.slice(1);
}

export function isSameDay(one, other) {
  return Math.abs(startOfDay(one) - startOfDay(other)) < MINUTE_MS;
}

/** A `<time>` element; `refreshTimes` keeps it right. @param {Date} at */
export function timeElement(at) {
  const element = document.createElement("time");
  element.dateTime = at.toISOString();
  element.title = full.format(at);
  element.textContent = timeInWords(at);
  return element;
}

/** Brings the relative times below `root` up to date. @param {ParentNode} root */
export function refreshTimes(root) {
  for (const element of root.querySelectorAll("time")) element.textContent = timeInWords(new Date(element.dateTime));
}

function startOfDay(at) {
  return new Date(at.getFullYear(), at.getMonth(), at.getDate()).getTime();
}
