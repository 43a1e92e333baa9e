/**
 * Server-sent events over fetch: takes a Response, gives its events one by one. EventSource is not used because it
 * can neither POST nor send an Authorization header. Follows WHATWG HTML 9.2.6 for fields, comments and line ends.
 */

import { Problem } from "./problem.js";

/** Longer silence than this means a dead connection: the server pings about every 15 seconds. */
const SILENCE_MS = 45_000;

/** @typedef {{type: string, seq: number | null, data: Record<string, any>}} ServerEvent */

/**
 * The events of a stream, until it ends.
 * @param {Response} response
 * @param {AbortSignal} signal leaving early closes the connection
 * @returns {AsyncGenerator<ServerEvent>}
 */
export async function* readEvents(response, signal) {
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  const leave = () => reader.cancel().catch(() => {});
  signal.addEventListener("abort", leave, { once: true });
  let rest = "";
  try {
    for (;;) {
      const { value, done } = await withinSilence(reader.read());
      if (done || signal.aborted) return;
      const blocks = (rest + value).split(/\r\n\r\n|\n\n|\r\r/);
      rest = blocks.pop();
      for (const block of blocks) {
        const event = parseBlock(block);
        if (event) yield event;
      }
    }
  } finally {
    signal.removeEventListener("abort", leave);
    await leave();
  }
}

/** One block of a stream as an event; null for comments, bare `retry` fields and data that is not JSON. */
export function parseBlock(block) {
  let type = "message";
  let seq = null;
  const data = [];
  for (const line of block.split(/\r\n|\n|\r/)) {
    const colon = line.indexOf(":");
    const field = colon < 0 ? line : line.slice(0, colon);
    const value = colon < 0 ? "" : line.slice(colon + 1).replace(/^ /, "");
    if (field === "event") type = value;
    if (field === "id" && /^\d+$/.test(value)) seq = Number(value);
    if (field === "data") data.push(value);
  }
  if (data.length === 0) return null;
  try {
    return { type, seq, data: JSON.parse(data.join("\n")) };
  } catch {
    return null;
  }
}

function withinSilence(reading) {
  let timer;
  const silence = new Promise((_, refuse) => {
    timer = setTimeout(() => refuse(new Problem({ code: "network" })), SILENCE_MS);
  });
  return Promise.race([reading, silence]).finally(() => clearTimeout(timer));
}
