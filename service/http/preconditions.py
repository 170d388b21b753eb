"""ETags and preconditions: RFC 9110, sections 8.8.3 and 13. A task's ETag is its version, quoted."""

import re

from aiohttp import hdrs, web

from service.http.app_keys import REQUIRE_IF_MATCH
from service.http.problems import Problem

# An opaque tag may hold any visible character but the quote, obs-text included; elements of a list may be empty. The
# possessive quantifiers keep hostile text from being tried in every way that it could be split.
_TAG = r'(?:W/)?"[\x21\x23-\x7e\x80-\U0010ffff]*+"'
_ELEMENT = rf"[ \t]*+(?:{_TAG}[ \t]*+)?+"
_LIST = re.compile(rf"{_ELEMENT}(?:,{_ELEMENT})*+")
_PARTS = re.compile(r'(W/)?"([^"]*+)"')
_VERSION = re.compile(r"[1-9][0-9]{0,18}")
_MAX_VERSION = 2**63 - 1


def etag(version: int) -> str:
    """Return the ETag of a version."""
    return f'"{version}"'


def required_versions(request: web.Request) -> list[int] | None:
    """Return the versions that If-Match allows; None where it is `*`, or absent and not required.

    Tags are compared strongly, so a weak one matches nothing, and neither does one that no version has.

    Raises:
        Problem: `invalid_precondition` when the header is neither `*` nor a list of entity tags;
            `precondition_required` when it is required and absent (RFC 6585, section 3).
    """
    tags = _read(request, hdrs.IF_MATCH)
    if tags is None:
        if hdrs.IF_MATCH not in request.headers and request.app[REQUIRE_IF_MATCH]:
            raise Problem("precondition_required")
        return None
    return [int(tag) for weak, tag in tags if not weak and _VERSION.fullmatch(tag) and int(tag) <= _MAX_VERSION]


def is_unchanged(request: web.Request, version: int) -> bool:
    """Tell whether the caller's copy, by If-None-Match (compared weakly), is still the current one.

    Raises:
        Problem: `invalid_precondition` when the header is neither `*` nor a list of entity tags.
    """
    if hdrs.IF_NONE_MATCH not in request.headers:
        return False
    tags = _read(request, hdrs.IF_NONE_MATCH)
    return tags is None or any(tag == str(version) for _, tag in tags)


def _read(request: web.Request, name: str) -> list[tuple[str, str]] | None:
    lines = request.headers.getall(name, [])
    value = ",".join(lines).strip(" \t")
    if not lines or value == "*":
        return None
    tags: list[tuple[str, str]] = _PARTS.findall(value)
    if not tags or not _LIST.fullmatch(value):
        raise Problem("invalid_precondition", f"{name} is neither * nor a list of entity tags.")
    return tags
