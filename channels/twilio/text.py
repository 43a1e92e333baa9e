"""Markdown -> the text that stands in a message, with as much formatting as a style has. Pure.

Takes Markdown (CommonMark with tables and strikethrough); gives text, and the stretches of it that
should stay whole when it is cut. Nothing a model writes is lost: raw HTML and unused link targets
stay as text, links are written out, and what is nested too deep to be read is left as it is.
"""

import logging
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Final

from markdown_it import MarkdownIt
from markdown_it.rules_inline import StateInline
from markdown_it.tree import SyntaxTreeNode

from gateway.contract.cut import Range

logging.getLogger("markdown_it").setLevel(logging.WARNING)  # a line for each rule tried, at debug

_MAX_NESTING: Final = 40
_MAX_BRACKETS: Final = 1000
"""The parser takes time by their square."""

_URL_REST: Final = re.compile(r"://[^\s<>\"`*)\]]+")
_CONTROLS: Final = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202d\u202e]")
"""What a telephone may take for a command, or for a change of direction up to the end."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Style:
    """The marks around formatted text; "" where a platform has none."""

    bold: str = ""
    italic: str = ""
    strike: str = ""
    code: str = ""
    fence: str = ""


PLAIN: Final = Style()
WHATSAPP: Final = Style(bold="*", italic="_", strike="~", code="`", fence="```")
"""WhatsApp help centre, "How to format your messages"; read November 2026."""


@dataclass(frozen=True, slots=True)
class Formatted:
    """A text; `atoms` should never be cut, `blocks` only if need be, `fenced` is code in marks."""

    text: str
    atoms: tuple[Range, ...] = ()
    blocks: tuple[Range, ...] = ()
    fenced: tuple[Range, ...] = ()


def formatted(markdown: str, *, style: Style) -> Formatted:
    """The text of a Markdown document in that style."""
    source = clean(markdown)
    if source.count("[") > _MAX_BRACKETS:
        return Formatted(source.strip())
    tokens = _PARSER.parse(source)
    if max((token.level for token in tokens), default=0) >= _MAX_NESTING - 2:
        return Formatted(source.strip())
    writer = _Writer(style)
    writer.blocks_of(SyntaxTreeNode(tokens))
    return writer.result() if writer.has_text else Formatted(source.strip())


def clean(text: str) -> str:
    """The text without control characters and half surrogate pairs, with plain line ends."""
    text = _CONTROLS.sub("", text.replace("\r\n", "\n"))
    if text.isascii():
        return text
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")


@dataclass(slots=True)
class _Margin:
    """What stands before the lines of a list's entry or a quote: once, and then on each line."""

    first: str
    later: str

    def take(self) -> str:
        """What stands before the next line."""
        taken, self.first = self.first, self.later
        return taken


@dataclass(slots=True)
class _Writer:
    """Writes a tree of blocks and notes where what stands."""

    style: Style
    out: list[str] = field(default_factory=list)
    at: int = 0
    atoms: list[Range] = field(default_factory=list)
    code: list[Range] = field(default_factory=list)
    fenced: list[Range] = field(default_factory=list)
    margins: list[_Margin] = field(default_factory=list)
    is_line_start: bool = True
    open_marks: list[str] = field(default_factory=list)

    @property
    def has_text(self) -> bool:
        """Whether anything can be seen."""
        return any(piece.strip() for piece in self.out)

    def result(self) -> Formatted:
        """What was written."""
        return Formatted("".join(self.out), tuple(self.atoms), tuple(self.code), tuple(self.fenced))

    # ------------------------------------------------------------ blocks

    def blocks_of(self, parent: SyntaxTreeNode, *, gap: str = "\n\n") -> None:
        """Write the blocks inside another, one below the other."""
        for number, node in enumerate(parent.children):
            if number:
                self.write("\n" if _is_hidden(node) else gap)
            self._block(node)

    def _block(self, node: SyntaxTreeNode) -> None:
        match node.type:
            case "inline":
                self._inline(node)
            case "heading":
                with self._marked(self.style.bold):
                    self.blocks_of(node)
            case "fence" | "code_block":
                self._code_block(_code(node))
            case "bullet_list" | "ordered_list":
                self._list(node)
            case "blockquote":
                self._indented(node, _Margin("> ", "> "))
            case "hr":
                self.write("---")
            case "table":
                self._table(node)
            case _:
                self.blocks_of(node)

    def _list(self, node: SyntaxTreeNode) -> None:
        for number, entry in enumerate(node.children):
            if number:
                self.write("\n")
            mark = f"{entry.info}. " if node.type == "ordered_list" else "- "
            self._indented(entry, _Margin(mark, " " * len(mark)), gap="\n")

    def _indented(self, node: SyntaxTreeNode, margin: _Margin, *, gap: str = "\n\n") -> None:
        self.margins.append(margin)
        self.blocks_of(node, gap=gap)
        self.margins.pop()

    def _table(self, node: SyntaxTreeNode) -> None:
        rows = [row for part in node.children for row in part.children]
        for number, row in enumerate(rows):
            if number:
                self.write("\n")
            for column, cell in enumerate(row.children):
                self.write(" | " if column else "")
                self.blocks_of(cell)

    def _code_block(self, content: str) -> None:
        start = self.at
        self.write(self.style.fence)
        inside = self.at
        self.write(content.rstrip("\n"))
        if self.style.fence:
            self.fenced.append((inside, self.at))
            self.atoms += [(start, inside + 1), (self.at - 1, self.at + len(self.style.fence))]
        self.write(self.style.fence)
        self.code.append((start, self.at))

    # ------------------------------------------------------------ inside a line

    def _inline(self, parent: SyntaxTreeNode) -> None:
        for node in parent.children:
            match node.type:
                case "softbreak" | "hardbreak":
                    self.write("\n")
                case "strong":
                    self._in_marks(node, self.style.bold)
                case "em":
                    self._in_marks(node, self.style.italic)
                case "s":
                    self._in_marks(node, self.style.strike)
                case "code_inline":
                    with self._marked(self.style.code):
                        self.write(node.content)
                case "link" | "image":
                    self._link(node)
                case _:
                    self.write(node.content)

    def _in_marks(self, node: SyntaxTreeNode, mark: str) -> None:
        with self._marked(mark):
            self._inline(node)

    def _link(self, node: SyntaxTreeNode) -> None:
        target = str(node.attrs.get("href") or node.attrs.get("src") or "")
        before = len(self.out)
        self._inline(node)
        shown = "".join(self.out[before:]).strip()
        if not target or shown in (target, target.removeprefix("mailto:")):
            return
        self.write(" (" if shown else "")
        start = self.at
        self.write(target)
        self.atoms.append((start, self.at))
        self.write(")" if shown else "")

    @contextmanager
    def _marked(self, mark: str) -> Iterator[None]:
        """Marks around what is written inside; a mark within the same mark is left out."""
        is_new = bool(mark) and mark not in self.open_marks
        start = self.at
        if is_new:
            self.write(mark)
            self.open_marks.append(mark)
        yield
        if is_new:
            self.open_marks.remove(mark)
            self.write(mark)
            self.atoms.append((start, self.at))

    # ------------------------------------------------------------ characters

    def write(self, text: str) -> None:
        """Write text; each of its lines begins with the margins."""
        for number, line in enumerate(text.split("\n")):
            if number:
                self._put("\n")
                self.is_line_start = True
            if line:
                if self.is_line_start:
                    self.is_line_start = False
                    self._put("".join(margin.take() for margin in self.margins))
                self._put(line)

    def _put(self, text: str) -> None:
        self.out.append(text)
        self.at += len(text)


def _is_hidden(node: SyntaxTreeNode) -> bool:
    """A paragraph of a list without blank lines."""
    return node.type == "paragraph" and node.is_nested and node.hidden


def _code(node: SyntaxTreeNode) -> str:
    """The code of a block; what stands behind its fence is text if it is no language's name."""
    is_text = len(node.info.split()) > 1 or not node.content.strip()
    return f"{node.info}\n{node.content}" if node.info and is_text else node.content


def _bare_url(state: StateInline, silent: bool) -> bool:
    """Take a bare address as it stands: its underscores are no emphasis."""
    rest = _URL_REST.match(state.src, state.pos)
    if rest is None or not state.pending.endswith(("http", "https")):
        return False
    if not silent:
        state.pending += rest[0]
    state.pos = rest.end()
    return True


class _Verbatim(MarkdownIt):
    """Leaves addresses as they were written: people read them, and no browser does."""

    def normalizeLink(self, url: str) -> str:  # noqa: N802 - the library's name
        return url


def _parser() -> MarkdownIt:
    parser = _Verbatim("commonmark", {"html": False, "maxNesting": _MAX_NESTING})
    parser.enable(["table", "strikethrough"]).disable("reference")
    parser.inline.ruler.before("emphasis", "bare_url", _bare_url)
    return parser


_PARSER: Final = _parser()
