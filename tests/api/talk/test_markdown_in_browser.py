"""What the page makes of a reply's Markdown: a small, safe part of it, in a real browser."""

import re

import pytest
from playwright.async_api import Page

pytestmark = pytest.mark.asyncio(loop_scope="session")

SHOW = """async ([path, texts]) => {
  const { showMarkdown } = await import(path);
  const target = document.createElement("div");
  for (const text of texts) showMarkdown(target, text);
  return target.innerHTML;
}"""

TIMED = f"""async (given) => {{
  const start = performance.now();
  await ({SHOW})(given);
  return performance.now() - start;
}}"""

CASES = [
    ("plain & <b>", "<p>plain &amp; &lt;b&gt;</p>"),
    ("one\ntwo\n\nthree", "<p>one<br>two</p><p>three</p>"),
    ("**bold** and *slanted*", "<p><strong>bold</strong> and <em>slanted</em></p>"),
    ("***both***", "<p><strong><em>both</em></strong></p>"),
    ("__bold__ _slanted_ ~~gone~~", "<p><strong>bold</strong> <em>slanted</em> <s>gone</s></p>"),
    ("snake_case_name and 2 * 3 * 4", "<p>snake_case_name and 2 * 3 * 4</p>"),
    (r"\*as written\*", "<p>*as written*</p>"),
    ("`a*b*c` and ``x`y``", "<p><code>a*b*c</code> and <code>x`y</code></p>"),
    ("# Title\ntext", "<h3>Title</h3><p>text</p>"),
    ("- a\n- b\n  - c", "<ul><li>a</li><li>b<ul><li>c</li></ul></li></ul>"),
    ("3. a\n4. b", '<ol start="3"><li>a</li><li>b</li></ol>'),
    ("1. a\n\n2. b", "<ol><li>a</li><li>b</li></ol>"),
    ("1. a\n   - b\n2. c", "<ol><li>a<ul><li>b</li></ul></li><li>c</li></ol>"),
    ("text\n- a", "<p>text</p><ul><li>a</li></ul>"),
    ("> said\n> so", "<blockquote><p>said<br>so</p></blockquote>"),
    ("a\n\n---\n\nb", "<p>a</p><hr><p>b</p>"),
    ("* * *", "<hr>"),
    (
        "| a | b |\n|---|---|\n| 1 | **2** |",
        (
            '<div class="table"><table><thead><tr><th>a</th><th>b</th></tr></thead>'
            "<tbody><tr><td>1</td><td><strong>2</strong></td></tr></tbody></table></div>"
        ),
    ),
    ("[label](javascript:alert(1))", "<p>[label](javascript:alert(1))</p>"),
    ("[label](data:text/html,x)", "<p>[label](data:text/html,x)</p>"),
    ("[label](/relative)", "<p>[label](/relative)</p>"),
    ("<https://a.example>", '<p>&lt;<a href="https://a.example/">https://a.example</a>&gt;</p>'),
    ("[l](https://a.example/x_y)", '<p><a href="https://a.example/x_y">l</a></p>'),
    (
        "See https://a.example/x.",
        '<p>See <a href="https://a.example/x">https://a.example/x</a>.</p>',
    ),
    (
        "(https://a.example/b_(c))",
        '<p>(<a href="https://a.example/b_(c)">https://a.example/b_(c)</a>)</p>',
    ),
    ("**open", "<p>**open</p>"),
    ("", ""),
]

LINK_FACTS = ' target="_blank" rel="noopener noreferrer nofollow ugc"'


async def module(page: Page, address: str) -> str:
    """Open the page and give the address of its Markdown module."""
    document = await (await page.request.get(address)).text()
    await page.goto(address)
    found = re.search(r"assets/\w+/markdown\.js", document)
    assert found is not None
    return f"/talk/{found[0]}"


async def test_each_kind_of_formatting_becomes_its_elements(page: Page, address: str) -> None:
    path = await module(page, address)

    for text, expected in CASES:
        shown = await page.evaluate(SHOW, [path, [text]])

        assert (text, shown.replace(LINK_FACTS, "")) == (text, expected)


async def test_a_link_opens_apart_and_tells_nothing_of_where_it_was(
    page: Page, address: str
) -> None:
    shown = await page.evaluate(SHOW, [await module(page, address), ["https://a.example"]])

    assert LINK_FACTS in shown


async def test_code_is_shown_as_written_with_its_language(page: Page, address: str) -> None:
    text = "```python\nif a < b:\n    # **not bold**\n```\nafter"
    shown = await page.evaluate(SHOW, [await module(page, address), [text]])

    assert "<span>python</span>" in shown
    assert "<code>if a &lt; b:\n    # **not bold**</code>" in shown
    assert shown.endswith("<p>after</p>")


async def test_text_that_grows_ends_as_if_it_had_come_whole(page: Page, address: str) -> None:
    path = await module(page, address)
    whole = "\n\n".join(text for text, _ in CASES) + "\n\n```\ncode\n```\n\nend"
    pieces = [whole[:length] for length in range(0, len(whole), 3)]

    grown = await page.evaluate(SHOW, [path, [*pieces, whole]])

    assert grown == await page.evaluate(SHOW, [path, [whole]])


@pytest.mark.parametrize(
    ("half", "closed"),
    [
        ("**bo", "**bo**"),
        ("a **", "a "),
        ("`co", "`co`"),
        ("see [the do", "see [the do"),
        ("see [the docs](https://exa", "see the docs"),
        ("done **b**", "done **b**"),
        ("```\n**code", "```\n**code"),
    ],
)
async def test_markup_half_written_does_not_show(
    page: Page, address: str, half: str, closed: str
) -> None:
    close = "async ([path, text]) => (await import(path)).closeOpen(text)"

    assert await page.evaluate(close, [await module(page, address), half]) == closed


@pytest.mark.parametrize("piece", ["*", "**a ", "[", "`", "_a", "- " * 3 + "\n", "> " * 40, "|-"])
async def test_hostile_markup_does_not_hold_the_page_up(
    page: Page, address: str, piece: str
) -> None:
    path = await module(page, address)
    text = piece * (30_000 // len(piece))

    assert await page.evaluate(TIMED, [path, [text]]) < 2000
