/**
 * A block of code in a reply with its language and a copy button, and the copying itself. Copying needs a secure
 * context (https or localhost); elsewhere the button is left out.
 */

import { build, icon } from "./build.js";

/** @param {string} text @param {string} language */
export function codeBlock(text, language) {
  const head = build(
    "div",
    { class: "code-head" },
    build("span", {}, language || "code"),
    copyButton(() => text),
  );
  const pre = build("pre", { tabindex: "0" }, build("code", {}, text));
  return build("div", { class: "code" }, head, pre);
}

/** A button that copies what `text` gives at that moment; empty where the browser does not allow it. */
export function copyButton(text) {
  if (!navigator.clipboard) return "";
  const label = build("span", {}, "Copy");
  const button = build("button", { type: "button", class: "small-button" }, icon("copy"), label);
  button.addEventListener("click", async () => {
    await navigator.clipboard.writeText(text()).then(
      () => (label.textContent = "Copied"),
      () => (label.textContent = "Could not copy"),
    );
    setTimeout(() => (label.textContent = "Copy"), 2000);
  });
  return button;
}
