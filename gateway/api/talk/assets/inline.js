/**
 * The formatting inside a line of a reply: emphasis, code and links, as DOM nodes. Text only ever becomes text
 * nodes, never markup; a link is made for http and https alone. Anything unknown stays as it was written.
 */

const MAX_DEPTH = 6;
/** Longer runs are shown unformatted, so that hostile input cannot keep the page busy. */
const MAX_CHARS = 8_000;

const TOKEN = new RegExp(
  [
    /\\(?<escaped>[\\`*_{}[\]()#+\-.!~>|])/,
    /(?<ticks>`+)(?<code>[^`]|[^`].*?[^`])\k<ticks>(?!`)/,
    /!?\[(?<label>(?:[^[\]]|\[[^[\]]*\])*)\]\(\s*<?(?<href>(?:[^\s()<>]|\([^\s()<>]*\))+)>?(?:\s+"[^"]*")?\s*\)/,
    /(?<bare>https?:\/\/[^\s<>"`]+)/,
    /\*\*(?=\S)(?<strong>.*?\S)\*\*(?!\*)/,
    /(?<!\w)__(?=\S)(?<lowStrong>.*?\S)__(?!\w)/,
    /\*(?=[^\s*])(?<em>[^*]*(?:\*\*[^*]+\*\*[^*]*)*)(?<=\S)\*(?!\*)/,
    /(?<!\w)_(?=\S)(?<lowEm>[^_]*[^\s_])_(?!\w)/,
    /~~(?=\S)(?<struck>.*?\S)~~/,
  ]
    .map((part) => part.source)
    .join("|"),
  "gsu",
);

/** @param {string} text @returns {DocumentFragment} */
export function inline(text, depth = 0) {
  const nodes = document.createDocumentFragment();
  if (depth > MAX_DEPTH || text.length > MAX_CHARS) {
    appendText(nodes, text);
    return nodes;
  }
  let end = 0;
  for (const match of text.matchAll(TOKEN)) {
    appendText(nodes, text.slice(end, match.index));
    nodes.append(tokenNode(match, depth));
    end = match.index + match[0].length;
  }
  appendText(nodes, text.slice(end));
  return nodes;
}

function tokenNode(match, depth) {
  const { escaped, code, label, href, bare, strong, lowStrong, em, lowEm, struck } = match.groups;
  if (escaped !== undefined) return document.createTextNode(escaped);
  if (code !== undefined) return element("code", document.createTextNode(code.replaceAll("\n", " ")));
  if (href !== undefined) return link(href, inline(label || href, depth + 1), match[0]);
  if (bare !== undefined) return bareLink(bare);
  if (struck !== undefined) return element("s", inline(struck, depth + 1));
  const important = strong ?? lowStrong;
  if (important !== undefined) return element("strong", inline(important, depth + 1));
  return element("em", inline(em ?? lowEm, depth + 1));
}

/** An address in running text; the full stop or bracket after it belongs to the sentence. */
function bareLink(written) {
  const nodes = document.createDocumentFragment();
  let address = written.replace(/[.,;:!?'*_~]+$/u, "");
  while (address.endsWith(")") && count(address, ")") > count(address, "(")) address = address.slice(0, -1);
  nodes.append(link(address, document.createTextNode(address), address));
  appendText(nodes, written.slice(address.length));
  return nodes;
}

function link(href, content, written) {
  const address = webAddress(href);
  if (!address) return document.createTextNode(written);
  const anchor = element("a", content);
  anchor.href = address;
  anchor.target = "_blank";
  anchor.rel = "noopener noreferrer nofollow ugc";
  return anchor;
}

/** The address if it is an absolute http or https one, else null. */
function webAddress(href) {
  try {
    const url = new URL(href);
    return url.protocol === "https:" || url.protocol === "http:" ? url.href : null;
  } catch {
    return null;
  }
}

function appendText(nodes, text) {
  text.split("\n").forEach((line, index) => {
    if (index > 0) nodes.append(document.createElement("br"));
    if (line) nodes.append(line);
  });
}

function count(text, character) {
  return text.split(character).length - 1;
}

function element(name, content) {
  const made = document.createElement(name);
  made.append(content);
  return made;
}
