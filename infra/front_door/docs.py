"""The API's description as a page: made of the document alone, without a script."""

import functools
from collections.abc import Iterator, Mapping
from html import escape
from typing import Any, Final

from infra.front_door.document import api_document
from infra.front_door.examples import EXAMPLES
from infra.front_door.page import Page, page_of

_STYLE: Final = """
:root {
  color-scheme: light dark;
  --line: #d5d9de; --quiet: #57606a; --ground: #fff; --text: #1b1f24; --block: #f3f5f7;
}
@media (prefers-color-scheme: dark) {
  :root { --line: #3a424c; --quiet: #a2adb9; --ground: #14181d; --text: #e8ebee; --block: #1e242b; }
}
body { margin: 0 auto; max-width: 48rem; padding: 2rem 1rem 4rem; background: var(--ground); color: var(--text);
  font: 1rem/1.55 system-ui, sans-serif; overflow-wrap: break-word; }
h1 { font-size: 1.8rem; margin: 0; }
h2 { font-size: 1.2rem; margin: 2.5rem 0 .3rem; padding-top: 1rem; border-top: 1px solid var(--line); }
h3 { font-size: 1rem; margin: 1.2rem 0 .3rem; }
p { margin: .4rem 0; }
code, pre { font-family: ui-monospace, monospace; font-size: .9em; }
pre { background: var(--block); padding: .8rem; border-radius: .4rem; overflow-x: auto; }
dl { display: grid; grid-template-columns: minmax(5rem, max-content) 1fr; gap: .25rem 1rem; margin: .3rem 0; }
dt { font-family: ui-monospace, monospace; font-size: .9em; }
dd { margin: 0; color: var(--quiet); }
.method { font-weight: 700; }
a { color: inherit; }
"""


@functools.cache
def docs_page() -> Page:
    """Return the page."""
    document = api_document()
    body = "".join(
        [
            f"<h1>{escape(document['info']['title'])}: the API</h1>",
            f"<p>{escape(document['info']['description'])}</p>",
            "<p>Every call but this page, the front page and <a href='openapi.json'>openapi.json</a> (OpenAPI 3) wants "
            "your key in the header <code>x-api-key</code>. Below, ADDRESS is where you read this, without "
            "<code>/docs</code>.</p>",
            *(_operation(*one) for one in _operations(document)),
            "<h2>Errors</h2>",
            '<pre tabindex="0">{"error": {"code": "BadImage", "message": "…", "request_id": "…"}}</pre>',
            f"<p>Codes: {', '.join(f'<code>{escape(code)}</code>' for code in _codes(document))}.</p>",
            "<h2>Calls to copy</h2>",
            *(f'<h3>{escape(name)}</h3><pre tabindex="0">{escape(code)}</pre>' for name, code in EXAMPLES),
        ]
    )
    return page_of(
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1"><title>Pedigree: the API</title>'
        f"<style>{_STYLE}</style></head><body><main>{body}</main></body></html>"
    )


def _operations(document: Mapping[str, Any]) -> Iterator[tuple[str, str, Mapping[str, Any]]]:
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            yield path, method.upper(), operation


def _operation(path: str, method: str, operation: Mapping[str, Any]) -> str:
    parts = [
        f"<h2><span class='method'>{method}</span> <code>{escape(path)}</code></h2>",
        f"<p><strong>{escape(operation['summary'])}.</strong> {escape(operation.get('description', ''))}</p>",
    ]
    if parameters := operation.get("parameters"):
        described = {each["name"]: each.get("description", "a number from 0 on") for each in parameters}
        parts.append(f"<h3>Parameters</h3>{_list(described)}")
    if taken := operation.get("requestBody"):
        kinds = ", ".join(f"<code>{escape(kind)}</code>" for kind in taken["content"])
        parts.append(f"<h3>Body</h3><p>{kinds}</p>")
    answers = {status: answer["description"] for status, answer in operation["responses"].items()}
    parts.append(f"<h3>Answers</h3>{_list(answers)}")
    return "".join(parts)


def _list(described: Mapping[str, str]) -> str:
    return f"<dl>{''.join(f'<dt>{escape(name)}</dt><dd>{escape(text)}</dd>' for name, text in described.items())}</dl>"


def _codes(document: Mapping[str, Any]) -> list[str]:
    error = document["components"]["schemas"]["Error"]["properties"]["error"]
    codes: list[str] = error["properties"]["code"]["enum"]
    return codes
