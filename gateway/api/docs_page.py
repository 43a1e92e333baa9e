"""The readable page of a description: one HTML document, no script, nothing from elsewhere.

Takes an OpenAPI document as `openapi.py` makes it. Everything is escaped.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterable, Iterator, Mapping
from html import escape
from typing import Any

Json = Mapping[str, Any]

_STYLE = """
:root{color-scheme:light dark;--line:#8883;--soft:#8881;--accent:#2563eb}
*{box-sizing:border-box}
body{margin:0;font:15px/1.55 system-ui,sans-serif;display:grid;grid-template-columns:17rem 1fr}
nav{position:sticky;top:0;height:100vh;overflow:auto;padding:1.5rem 1rem}
nav{border-right:1px solid var(--line)}
nav h2{font-size:.8rem;margin:1.2rem 0 .3rem;opacity:.7}
nav a{display:block;padding:.1rem 0;color:inherit;text-decoration:none;font-size:.86rem}
nav a:hover,a:focus-visible{color:var(--accent);text-decoration:underline}
main{padding:2rem clamp(1rem,4vw,4rem);max-width:64rem;min-width:0}
h1{margin-top:0}section{border-top:1px solid var(--line);padding:1.2rem 0}
h3{margin:0 0 .4rem;font-size:1rem;overflow-wrap:anywhere}
code{font:.92em/1.5 ui-monospace,monospace}
.method{display:inline-block;min-width:4rem;font-weight:700;color:var(--accent)}
table{border-collapse:collapse;width:100%;margin:.6rem 0;font-size:.9rem}
th,td{text-align:left;vertical-align:top;padding:.3rem .6rem .3rem 0}
th,td{border-bottom:1px solid var(--soft)}
details{margin:.4rem 0}summary{cursor:pointer}.soft{opacity:.7}
@media(max-width:50rem){body{display:block}nav{position:static;height:auto;border:0}}
"""

CONTENT_SECURITY_POLICY = (
    "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; style-src "
    f"'sha256-{base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()}'"
)


def docs_page(description: Json) -> str:
    """The page of a description."""
    info = description["info"]
    operations = list(_operations(description))
    return "".join(
        (
            '<!doctype html><html lang="en"><head><meta charset="utf-8">',
            '<meta name="viewport" content="width=device-width,initial-scale=1">',
            f"<title>{escape(info['title'])}</title><style>{_STYLE}</style></head><body>",
            f'<nav aria-label="Operations">{"".join(_contents(operations))}</nav><main>',
            f"<h1>{escape(info['title'])} {escape(info['version'])}</h1>",
            f"<p>{escape(info['summary'])} ",
            'As OpenAPI 3.1: <a href="/v1/openapi.json"><code>/v1/openapi.json</code></a></p>',
            *(_section(path, method, op) for path, method, op in operations),
            "<h2 id=errors>Error codes</h2>",
            *_errors(description["x-error-codes"]),
            "<h2 id=schemas>Documents</h2>",
            *(_schema(name, s) for name, s in sorted(description["components"]["schemas"].items())),
            "</main></body></html>",
        )
    )


def _operations(description: Json) -> Iterator[tuple[str, str, Json]]:
    for path, methods in description["paths"].items():
        for method, operation in methods.items():
            yield path, method.upper(), operation


def _contents(operations: Iterable[tuple[str, str, Json]]) -> Iterator[str]:
    tag = None
    for _, _, operation in sorted(operations, key=lambda entry: entry[2]["tags"][0]):
        if operation["tags"][0] != tag:
            tag = operation["tags"][0]
            yield f"<h2>{escape(tag)}</h2>"
        yield f'<a href="#{escape(operation["operationId"])}">{escape(operation["summary"])}</a>'
    yield '<h2>More</h2><a href="#errors">Error codes</a><a href="#schemas">Documents</a>'


def _section(path: str, method: str, operation: Json) -> str:
    scope = operation.get("x-scope")
    demand = f"scope <code>{escape(scope)}</code>" if scope else "no key"
    body = operation.get("requestBody", {}).get("content", {}).get("application/json", {})
    taken = f"<p>Takes {_named(body['schema'])}</p>" if body else ""
    return "".join(
        (
            f'<section id="{escape(operation["operationId"])}"><h3><span class="method">{method}',
            f"</span> <code>{escape(path)}</code></h3><p>{escape(operation['summary'])} ",
            f'<span class="soft">({demand})</span></p>{taken}',
            _parameters(operation["parameters"]),
            f"<table><tbody>{''.join(_answers(operation['responses']))}</tbody></table></section>",
        )
    )


def _parameters(parameters: Iterable[Json]) -> str:
    rows = "".join(
        f"<tr><td><code>{escape(p['name'])}</code></td><td>{escape(p['in'])}</td>"
        f"<td>{_named(p['schema'])} {escape(p.get('description', ''))}</td></tr>"
        for p in parameters
    )
    return f"<details><summary>Parameters</summary><table>{rows}</table></details>" if rows else ""


def _answers(responses: Mapping[str, Json]) -> Iterator[str]:
    for status, response in sorted(responses.items()):
        kinds = []
        for media, content in response.get("content", {}).items():
            items = content.get("x-itemSchema", {}).get("oneOf", [content["schema"]])
            kinds.append(f"{escape(media)}: {', '.join(_named(item) for item in items)}")
        shown = "<br>".join(kinds) or "no body"
        yield f"<tr><td>{status} {escape(response['description'])}</td><td>{shown}</td></tr>"


def _errors(codes: Mapping[str, str]) -> Iterator[str]:
    yield "<table><tbody>"
    for code, title in sorted(codes.items()):
        row = f"<td><code>{escape(code)}</code></td><td>{escape(title)}</td>"
        yield f'<tr id="error-{escape(code)}">{row}</tr>'
    yield "</tbody></table>"


def _schema(name: str, schema: Json) -> str:
    required = set(schema.get("required", ()))
    rows = "".join(
        f"<tr><td><code>{escape(field)}</code>{'' if field in required else ' <i>optional</i>'}"
        f"</td><td>{_named(kind)} {escape(kind.get('description', ''))}</td></tr>"
        for field, kind in schema.get("properties", {}).items()
    )
    text = escape(schema.get("description", ""))
    head = f'<section id="doc-{escape(name)}"><h3>{escape(name)}</h3><p>{text}</p>'
    return f"{head}<table>{rows}</table></section>"


def _named(schema: Json) -> str:
    """A schema in a few words."""
    if "$ref" in schema:
        name = escape(schema["$ref"].rpartition("/")[2])
        return f'<a href="#doc-{name}">{name}</a>'
    for choice in ("anyOf", "oneOf", "allOf"):
        if choice in schema:
            return " or ".join(dict.fromkeys(_named(option) for option in schema[choice]))
    if "const" in schema:
        return f"<code>{escape(str(schema['const']))}</code>"
    if "enum" in schema:
        return " | ".join(f"<code>{escape(str(value))}</code>" for value in schema["enum"])
    if schema.get("type") == "array":
        return f"list of {_named(schema.get('items', {}))}"
    return escape(str(schema.get("type", "anything")))
