"""Markup by construction: texts are escaped where they enter, so that no name of a file or a class becomes markup."""

from __future__ import annotations

import html
import unicodedata
from typing import Any

_DIRECTIONS = frozenset("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
_VOID = frozenset(("br", "img", "input", "link", "meta"))


class Html(str):
    """Text that is markup already."""

    __slots__ = ()


def escape(text: Any) -> Html:
    """Any value as text of a page; markup stays as it is.

    What cannot be seen, or turns the direction of what follows, is spelled out.

    Example:
        >>> escape('<b>"cats"</b>'), escape(Html("<b>cats</b>"))
        ('&lt;b&gt;&quot;cats&quot;&lt;/b&gt;', '<b>cats</b>')
    """
    if isinstance(text, Html):
        return text
    return Html(html.escape("".join(map(_visible, str(text)))))


def tag(name: str, /, *inside: Any, **attributes: Any) -> Html:
    """An element. `None` inside is nothing; an attribute that is None or False is left out.

    In names of attributes a trailing underscore is dropped and others become dashes: class_, aria_label.

    Example:
        >>> tag("p", "a < b", class_="note", hidden=True)
        '<p class="note" hidden>a &lt; b</p>'
    """
    words = [name]
    for key, value in attributes.items():
        if value is None or value is False:
            continue
        key = key.rstrip("_").replace("_", "-")
        words.append(key if value is True else f'{key}="{escape(value)}"')
    opening = f"<{' '.join(words)}>"
    if name in _VOID:
        return Html(opening)
    return Html(f"{opening}{join(*inside)}</{name}>")


def join(*parts: Any) -> Html:
    """Parts one after the other; None is nothing."""
    return Html("".join(escape(part) for part in parts if part is not None))


def rows(pairs: Any, **attributes: Any) -> Html:
    """A table of two columns whose first is headings."""
    lines = [tag("tr", tag("th", key, scope="row"), tag("td", value)) for key, value in pairs]
    return tag("div", tag("table", tag("tbody", *lines), **attributes), class_="wide")


def _visible(character: str) -> str:
    if character in "\n\t" or (unicodedata.category(character) not in ("Cc", "Cs") and character not in _DIRECTIONS):
        return character
    return f"\\u{ord(character):04x}"
