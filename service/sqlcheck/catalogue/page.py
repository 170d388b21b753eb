"""The catalogue as one page of HTML, which needs nothing else: its style and its script are in it.

The page itself says to the browser that no other style and no other script is its own. What it is put together from is
escaped by the templates.
"""

import re
from base64 import b64encode
from hashlib import sha256
from pathlib import Path
from typing import Final

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup, escape

from service.sqlcheck.catalogue.diagrams import KEYS, PAD, ROW, draw
from service.sqlcheck.catalogue.highlighting import pieces
from service.sqlcheck.catalogue.model import VERBS, Catalogue

_FOLDER: Final = Path(__file__).with_name("page")
_NAME: Final = re.compile(r"(`[^`]+`|\b\w+\b)")
_NO_ANCHOR: Final = re.compile(r"[^a-z0-9]+")


def as_html(catalogue: Catalogue) -> str:
    """Return the page, the same for the same catalogue."""
    environment = Environment(
        loader=FileSystemLoader(_FOLDER),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    anchors = _anchors(catalogue)
    environment.filters |= {
        "anchor": anchor,
        "prose": lambda text: _prose(text, anchors),
        "linked": lambda name: _link(name, anchors),
        "pieces": pieces,
        "slug": lambda text: _NO_ANCHOR.sub("-", text.lower()),
    }
    style, script = (Markup((_FOLDER / name).read_text("utf-8")) for name in ("page.css", "page.js"))  # noqa: S704 -- our own files
    return environment.get_template("page.html").render(
        catalogue=catalogue,
        diagram=draw(catalogue.tables),
        row=ROW,
        pad=PAD,
        keys=KEYS,
        tables=[table.name for table in catalogue.tables],
        verbs=VERBS,
        style=style,
        script=script,
        policy="; ".join(
            (
                "default-src 'none'",
                f"style-src '{_hash(style)}'",
                f"script-src '{_hash(script)}'",
                "base-uri 'none'",
                "form-action 'none'",
            )
        ),
    )


def anchor(kind: str, name: str) -> str:
    """Return where on the page something stands: `query-list_tasks`, `caller-get-api-tasks`."""
    return f"caller-{_NO_ANCHOR.sub('-', name.lower()).strip('-')}" if kind == "caller" else f"{kind}-{name}"


def _anchors(catalogue: Catalogue) -> dict[str, str]:
    """Return where each thing stands that has a name. That of a key is its index's as well, and leads there."""
    found: dict[str, str] = {}
    for table in catalogue.tables:
        found |= {one.name: anchor("constraint", one.name) for one in table.constraints}
        found |= {one.name: anchor("constraint", one.name) for one in table.foreign_keys}
        found |= {one.name: anchor("trigger", one.name) for one in table.triggers}
        found |= {one.name: anchor("index", one.name) for one in table.indexes}
    found |= {table.name: anchor("table", table.name) for table in catalogue.tables}
    return found | {query.name: anchor("query", query.name) for query in catalogue.queries}


def _link(name: str, anchors: dict[str, str]) -> Markup:
    """Return a name, or the column of a table, as a link to where it is told of; as it is where that is nowhere."""
    target = anchors.get(name) or anchors.get(name.partition(".")[0])
    return Markup('<a href="#{}">{}</a>').format(target, name) if target else escape(name)


def _prose(text: str, anchors: dict[str, str]) -> Markup:
    """Return a text with links for the names in it, and what stands in backticks as code.

    A name without an underscore may be a word as well: tasks.
    """
    found = []
    for part in _NAME.split(text):
        if part.startswith("`"):
            found.append(Markup("<code>{}</code>").format(part.strip("`")))
        elif "_" in part and part in anchors:
            found.append(_link(part, anchors))
        else:
            found.append(escape(part))
    return Markup("").join(found)


def _hash(text: str) -> str:
    return f"sha256-{b64encode(sha256(text.encode()).digest()).decode()}"
