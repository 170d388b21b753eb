"""The edits that documents show are made where they say, or not at all."""

import pytest

from tests.edits import EditError, edit, edit_everywhere

_TEXT = "def one():\n    a = 1\n\n\ndef other():\n    a = 1\n    b = 2\n"


@pytest.mark.parametrize(
    ("diff", "after"),
    [
        ("     a = 1\n-    b = 2\n+    c = 3\n", "def one():\n    a = 1\n\n\ndef other():\n    a = 1\n    c = 3\n"),
        ("@@ def other():\n-    a = 1\n", "def one():\n    a = 1\n\n\ndef other():\n    b = 2\n"),
        ("@@ def one():\n-    a = 1\n", "def one():\n\n\ndef other():\n    a = 1\n    b = 2\n"),
        ("-def one():\n+def first():\n@@\n-def other():\n", "def first():\n    a = 1\n\n\n    a = 1\n    b = 2\n"),
        # The blank of an empty line is optional.
        ("     a = 1\n\n \n-def other():\n", "def one():\n    a = 1\n\n\n    a = 1\n    b = 2\n"),
    ],
)
def test_a_hunk_takes_the_place_of_its_lines(diff: str, after: str) -> None:
    assert edit(_TEXT, diff) == after


@pytest.mark.parametrize(
    ("diff", "times"),
    [
        ("-    a = 1\n", 2),
        ("-    c = 1\n", 0),
        ("@@ def none():\n-    a = 1\n", 0),
        ("@@ def other():\n-def one():\n", 0),
    ],
)
def test_a_hunk_without_one_place_is_refused(diff: str, times: int) -> None:
    with pytest.raises(EditError, match=f"^has what is to be changed {times} times$"):
        edit(_TEXT, diff)


def test_an_edit_is_made_everywhere() -> None:
    assert edit_everywhere(_TEXT, "-a = \n+c = \n+-b = \n-def other\n+def third\n") == (
        "def one():\n    c = \n-b = 1\n\n\ndef third():\n    c = \n-b = 1\n    b = 2\n"
    )
    with pytest.raises(EditError, match=r"^has what is to be changed 0 times: nothing$"):
        edit_everywhere(_TEXT, "-nothing\n+something\n")
