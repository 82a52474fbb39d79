"""What a browser would make of a page."""

import html.parser
import re

_VOID = frozenset({"meta", "link", "br", "wbr", "img", "path", "use", "ellipse", "rect", "line"})


class Outline(html.parser.HTMLParser):
    """Collects what a browser would make elements of; fails on tags that are never closed."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.feed(text)
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in _VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        if tag not in _VOID:
            assert self.open.pop() == tag

    @property
    def tags(self) -> list[str]:
        return [tag for tag, _ in self.elements]

    @property
    def ids(self) -> list[str]:
        return [attributes["id"] or "" for _, attributes in self.elements if "id" in attributes]

    @property
    def addresses(self) -> list[str]:
        names = ("src", "href", "xlink:href", "srcset", "action", "data")
        return [attributes[name] or "" for _, attributes in self.elements for name in names if name in attributes]

    @property
    def headings(self) -> list[int]:
        return [int(tag[1]) for tag in self.tags if re.fullmatch(r"h[1-6]", tag)]

    def with_role(self, role: str) -> list[dict[str, str | None]]:
        return [attributes for _, attributes in self.elements if attributes.get("role") == role]
