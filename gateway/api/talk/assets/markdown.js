/**
 * Markdown of a reply as DOM nodes: a safe subset of CommonMark (paragraphs, headings, lists, quotes, code, tables,
 * rules). Takes text, possibly still growing, and brings an element's children up to date; finished blocks keep their
 * nodes, so that streaming neither flickers nor loses a selection. Makes no markup from text.
 */

import { inline } from "./inline.js";
import { codeBlock } from "./code.js";

const FENCE = /^ {0,3}(`{3,}|~{3,})\s*([\w+#.-]*)[^`]*$/;
const HEADING = /^ {0,3}(#{1,6})\s+(.*?)\s*#*$/;
const RULE = /^ {0,3}([-*_])(?:[ \t]*\1){2,}[ \t]*$/;
const QUOTE = /^ {0,3}> ?/;
const ITEM = /^(\s*)([-*+•]|\d{1,9}[.)])(?:\s+|$)(.*)$/;
const TABLE_RULE = /^\s*\|?\s*:?-+:?\s*(?:\|\s*:?-+:?\s*)*\|?\s*$/;
const MAX_DEPTH = 6;

/** @typedef {{kind: string, source: string, [fact: string]: any}} Block */

const shownBlocks = new WeakMap();

/** Makes `target` show `text`; only blocks that changed since the last call are built again. */
export function showMarkdown(target, text) {
  const before = shownBlocks.get(target) ?? [];
  const blocks = parse(text.replace(/\r\n?/g, "\n").split("\n"));
  const same = blocks.findIndex((block, index) => before[index]?.source !== block.source);
  const kept = same < 0 ? blocks.length : same;
  while (target.childNodes.length > kept) target.lastChild.remove();
  for (const block of blocks.slice(kept)) target.append(render(block, 0));
  shownBlocks.set(target, blocks);
}

/**
 * A growing text with its last open emphasis, code or link closed, so that half-written markup does not show.
 * @param {string} text
 */
export function closeOpen(text) {
  const start = text.lastIndexOf("\n\n") + 1;
  if (count(text, /^ {0,3}(?:```|~~~)/gm) % 2 === 1) return text;
  let tail = text
    .slice(start)
    .replace(/!?\[([^[\]\n]*)\]\([^()\s]*$/, "$1")
    .replace(/(?:\*{1,3}|`|~~?|_{1,2})$/, "");
  if (count(tail, /`/g) % 2 === 1) return `${text.slice(0, start)}${tail}\``;
  if (count(tail, /\*\*/g) % 2 === 1) tail = `${tail.trimEnd()}**`;
  return text.slice(0, start) + tail;
}

/** @param {string[]} lines @returns {Block[]} */
function parse(lines) {
  const blocks = [];
  for (let at = 0; at < lines.length;) {
    if (!lines[at].trim()) {
      at += 1;
      continue;
    }
    const [block, next] = readBlock(lines, at);
    blocks.push({ ...block, source: `${block.kind}\n${lines.slice(at, next).join("\n")}` });
    at = next;
  }
  return blocks;
}

function readBlock(lines, at) {
  const line = lines[at];
  const fence = FENCE.exec(line);
  if (fence) return readFence(lines, at, fence);
  const heading = HEADING.exec(line);
  if (heading) return [{ kind: "heading", level: heading[1].length, text: heading[2] }, at + 1];
  if (RULE.test(line)) return [{ kind: "rule" }, at + 1];
  if (QUOTE.test(line)) return readQuote(lines, at);
  if (ITEM.test(line)) return readList(lines, at);
  if (startsTable(lines, at)) return readTable(lines, at);
  return readParagraph(lines, at);
}

function readFence(lines, at, [, mark, language]) {
  let end = at + 1;
  const closing = new RegExp(`^ {0,3}${mark[0]}{${mark.length},}\\s*$`);
  while (end < lines.length && !closing.test(lines[end])) end += 1;
  return [{ kind: "code", language, text: lines.slice(at + 1, end).join("\n") }, Math.min(end + 1, lines.length)];
}

function readQuote(lines, at) {
  let end = at;
  while (end < lines.length && QUOTE.test(lines[end])) end += 1;
  return [{ kind: "quote", lines: lines.slice(at, end).map((line) => line.replace(QUOTE, "")) }, end];
}

/** A list goes on over indented lines and over one blank line, as long as an item or indented text follows. */
function readList(lines, at) {
  const [, indent, marker] = ITEM.exec(lines[at]);
  const ordered = /\d/.test(marker);
  const items = [];
  let end = at;
  while (end < lines.length) {
    const item = ITEM.exec(lines[end]);
    const isOurs =
      item && item[1].length < indent.length + 2 && /\d/.test(item[2]) === ordered && !RULE.test(lines[end]);
    if (isOurs) items.push([item[3]]);
    else if (continuesItem(lines, end, indent.length)) items.at(-1).push(dedent(lines[end], indent.length + 2));
    else break;
    end += 1;
  }
  return [{ kind: "list", ordered, start: Number.parseInt(marker, 10), items }, end];
}

function continuesItem(lines, at, indent) {
  const line = lines[at];
  const isDeeper = (text) => text !== undefined && text.search(/\S/) >= indent + 2;
  if (!line.trim()) {
    const next = lines[at + 1];
    return isDeeper(next) || (next !== undefined && ITEM.test(next) && next.search(/\S/) >= indent);
  }
  if (isDeeper(line)) return true;
  return Boolean(lines[at - 1].trim()) && !startsBlock(lines, at);
}

function dedent(line, width) {
  return line.slice(Math.min(width, Math.max(line.search(/\S/), 0)));
}

function startsTable(lines, at) {
  const rule = lines[at + 1];
  return lines[at].includes("|") && rule !== undefined && rule.includes("-") && TABLE_RULE.test(rule);
}

function readTable(lines, at) {
  let end = at + 2;
  while (end < lines.length && lines[end].includes("|") && lines[end].trim()) end += 1;
  return [{ kind: "table", head: cells(lines[at]), rows: lines.slice(at + 2, end).map(cells) }, end];
}

function cells(line) {
  const inner = line
    .trim()
    .replace(/^\|/, "")
    .replace(/(?<!\\)\|$/, "");
  return inner.split(/(?<!\\)\|/).map((cell) => cell.trim());
}

function startsBlock(lines, at) {
  const line = lines[at];
  return [FENCE, HEADING, RULE, QUOTE, ITEM].some((start) => start.test(line)) || startsTable(lines, at);
}

function readParagraph(lines, at) {
  let end = at + 1;
  while (end < lines.length && lines[end].trim() && !startsBlock(lines, end)) end += 1;
  return [
    {
      kind: "paragraph",
      text: lines
        .slice(at, end)
        .map((line) => line.trim())
        .join("\n"),
    },
    end,
  ];
}

/** @param {Block} block */
function render(block, depth) {
  switch (block.kind) {
    case "heading":
      return made(block.level <= 2 ? "h3" : "h4", inline(block.text));
    case "rule":
      return made("hr");
    case "code":
      return codeBlock(block.text, block.language);
    case "quote":
      return made("blockquote", ...renderAll(block.lines, depth));
    case "list":
      return list(block, depth);
    case "table":
      return table(block);
    default:
      return made("p", inline(block.text));
  }
}

/** Blocks within a list item or a quote; beyond a depth nobody writes by hand they stay plain text. */
function renderAll(lines, depth) {
  if (depth >= MAX_DEPTH) return [document.createTextNode(lines.join(" "))];
  return parse(lines).map((block) => render(block, depth + 1));
}

function list({ ordered, start, items }, depth) {
  const whole = made(ordered ? "ol" : "ul");
  if (ordered && start !== 1) whole.start = start;
  for (const lines of items) {
    const nodes = renderAll(lines, depth);
    if (nodes[0]?.nodeName === "P") nodes.splice(0, 1, ...nodes[0].childNodes);
    whole.append(made("li", ...nodes));
  }
  return whole;
}

function table({ head, rows }) {
  const row = (name, texts) => made("tr", ...texts.map((text) => made(name, inline(text.replaceAll("\\|", "|")))));
  const body = rows.map((texts) => row("td", texts.slice(0, head.length)));
  const frame = made("div", made("table", made("thead", row("th", head)), made("tbody", ...body)));
  frame.className = "table";
  return frame;
}

function count(text, pattern) {
  return (text.match(pattern) ?? []).length;
}

function made(name, ...content) {
  const element = document.createElement(name);
  element.append(...content);
  return element;
}
