"""Preconditions: header text is a list of versions, or anything at all, and never more than a refusal."""

import pytest
from aiohttp import hdrs, web
from aiohttp.test_utils import make_mocked_request
from hypothesis import given
from hypothesis import strategies as st
from multidict import CIMultiDict

from service.http.app_keys import REQUIRE_IF_MATCH
from service.http.preconditions import etag, is_unchanged, required_versions
from service.http.problems import Problem

_versions = st.integers(1, 2**63 - 1)
_separators = st.sampled_from([",", ", ", " , ", ",,", "\t,"])
# Short, and mostly of the characters that mean something here.
_anything = st.text(
    st.sampled_from('"W/*, \t1239') | st.characters(exclude_categories=["Cs"], exclude_characters="\r\n"), max_size=16
)


def _app(*, require_if_match: bool) -> web.Application:
    app = web.Application()
    app[REQUIRE_IF_MATCH] = require_if_match
    return app


def _request(name: str, *lines: str) -> web.Request:
    return make_mocked_request("GET", "/", CIMultiDict((name, line) for line in lines))


@given(st.lists(st.tuples(_versions, st.booleans()), min_size=1, max_size=5), _separators)
def test_the_strong_tags_of_if_match_are_the_versions_that_it_allows(
    tags: list[tuple[int, bool]], separator: str
) -> None:
    written = [f"W/{etag(version)}" if is_weak else etag(version) for version, is_weak in tags]
    expected = [version for version, is_weak in tags if not is_weak]
    assert required_versions(_request(hdrs.IF_MATCH, separator.join(written))) == expected
    # The lines of a header are one list.
    assert required_versions(_request(hdrs.IF_MATCH, *written)) == expected


@given(st.lists(st.tuples(_versions, st.booleans()), min_size=1, max_size=5), _versions)
def test_the_tags_of_if_none_match_are_compared_weakly(tags: list[tuple[int, bool]], version: int) -> None:
    written = ", ".join(f"W/{etag(tag)}" if is_weak else etag(tag) for tag, is_weak in tags)
    request = _request(hdrs.IF_NONE_MATCH, written)
    assert is_unchanged(request, version) is (version in {tag for tag, _ in tags})
    assert is_unchanged(request, tags[-1][0])


@given(st.lists(_anything, min_size=1, max_size=3))
def test_no_text_is_more_than_a_refusal(lines: list[str]) -> None:
    try:
        versions = required_versions(_request(hdrs.IF_MATCH, *lines))
    except Problem as problem:
        assert problem.kind.code == "invalid_precondition"  # noqa: PT017 -- that it may also not be raised is the point
        with pytest.raises(Problem):
            is_unchanged(_request(hdrs.IF_NONE_MATCH, *lines), 1)
    else:
        if versions is None:
            assert [line.strip(" \t") for line in lines] == ["*"]
        else:
            assert all(0 < version < 2**63 for version in versions)
            assert is_unchanged(_request(hdrs.IF_NONE_MATCH, *lines), 1) or 1 not in versions


def test_without_the_header_there_is_no_precondition() -> None:
    request = make_mocked_request("GET", "/", app=_app(require_if_match=False))
    assert required_versions(request) is None
    assert not is_unchanged(request, 1)


def test_where_it_is_required_a_missing_if_match_is_refused_and_a_missing_if_none_match_is_not() -> None:
    request = make_mocked_request("GET", "/", app=_app(require_if_match=True))
    with pytest.raises(Problem) as refused:
        required_versions(request)
    assert refused.value.kind.code == "precondition_required"
    assert not is_unchanged(request, 1)
