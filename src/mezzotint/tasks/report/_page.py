"""The page itself: one file, opened offline, that may load nothing and run nothing but what we put into it."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Sequence
from importlib.resources import files

from mezzotint.tasks.report._html import Html, join, tag

Section = tuple[str, str, Html]


def page(title: str, head: Html, sections: Sequence[Section]) -> str:
    """The whole document.

    Args:
        title: of the window.
        head: stands above the sections.
        sections: (id, heading, body).
    """
    style, script = _part("report.css"), _part("report.js")
    # The hashes allow this very style and script. A name that became markup all the same could still load nothing.
    policy = (
        f"default-src 'none'; img-src data:; style-src {_hash(style)}; script-src {_hash(script)}; "
        "base-uri 'none'; form-action 'none'"
    )
    links = [tag("a", heading, href=f"#{name}") for name, heading, _ in sections]
    body = [
        tag("section", tag("h2", heading, id=f"{name}-heading"), inside, id=name, aria_labelledby=f"{name}-heading")
        for name, heading, inside in sections
    ]
    document = tag(
        "html",
        tag(
            "head",
            tag("meta", charset="utf-8"),
            _meta("Content-Security-Policy", policy),
            tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
            tag("meta", name="referrer", content="no-referrer"),
            tag("meta", name="color-scheme", content="light dark"),
            tag("title", title),
            tag("link", rel="icon", href="data:,"),
            Html(f"<style>{style}</style>"),
        ),
        tag(
            "body",
            head,
            tag("nav", *join_with_spaces(links), aria_label="Sections"),
            tag("main", *body),
            Html(f"<script>{script}</script>"),
        ),
        lang="en",
    )
    return f"<!doctype html>\n{document}\n"


def join_with_spaces(parts: Sequence[Html]) -> list[Html]:
    """The parts with a space after each, so that lines may break there."""
    return [join(part, " ") for part in parts]


def _meta(name: str, content: str) -> Html:
    # Its quotes stand within double quotes and are ours, so that they stay readable.
    return Html(f'<meta http-equiv="{name}" content="{content}">')


def _part(name: str) -> str:
    return files("mezzotint.tasks.report").joinpath(name).read_text(encoding="utf-8").replace("\r\n", "\n")


def _hash(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"
