"""An HTML page taken apart, for tests."""

import base64
import io
import re
from html.parser import HTMLParser
from typing import Self

import numpy as np
from PIL import Image

from tumorlens.finding import Finding
from tumorlens.finding.report import report_page

DATA = re.compile(r"data:image/jpeg;base64,[A-Za-z0-9+/=]+")
"""A picture within a page."""

_VOID = {"meta", "link", "img", "br"}

Attributes = dict[str, str]


class Page(HTMLParser):
    """The elements of a page in order, each with its attributes and text.

    Attributes:
        elements: (tag, attributes, text), the text without that of elements within.
        text: All that is to be read, without styles.
    """

    def __init__(self) -> None:
        super().__init__()
        self.elements: list[tuple[str, Attributes, list[str]]] = []
        self.text = ""
        self._open: list[tuple[str, list[str]]] = []

    @classmethod
    def of(cls, html: str) -> Self:
        """A page, once it proved to be well-formed."""
        page = cls()
        page.feed(html)
        page.close()
        assert not page._open, f"not closed: {[tag for tag, _ in page._open]}"
        return page

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        names = [name for name, _ in attrs]
        assert len(names) == len(set(names))
        text: list[str] = []
        self.elements.append((tag, {name: value or "" for name, value in attrs}, text))
        if tag not in _VOID:
            self._open.append((tag, text))

    def handle_endtag(self, tag: str) -> None:
        opened, _ = self._open.pop()
        assert opened == tag, f"expected </{opened}>, got </{tag}>"

    def handle_data(self, data: str) -> None:
        if not self._open:
            return
        tag, text = self._open[-1]
        text.append(data)
        if tag not in ("style", "title"):
            self.text += data

    def all(self, tag: str) -> list[tuple[Attributes, str]]:
        """Attributes and text of every element with a tag."""
        return [(attributes, "".join(text)) for name, attributes, text in self.elements if name == tag]

    def one(self, tag: str) -> tuple[Attributes, str]:
        """Those of the only element with a tag."""
        (found,) = self.all(tag)
        return found


def page_of(finding: Finding, *, keep_identity: bool = False) -> Page:
    """A finding's report."""
    return Page.of(report_page(finding, keep_identity=keep_identity))


def pictures(html: str) -> list[np.ndarray]:
    """The pictures of a page, (rows, columns, 3) each."""
    addresses = DATA.findall(html)
    return [
        np.asarray(Image.open(io.BytesIO(base64.b64decode(each.partition(",")[2])))).astype(int)
        for each in addresses
    ]
