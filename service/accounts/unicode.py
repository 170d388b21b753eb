"""Unicode normalisation: one form for a text that can be typed in several."""

import unicodedata
from typing import Final

# Composing makes one character of four at most, so that what is longer has more than 256 in every form.
_LONGEST: Final = 4 * 256


def nfkc(text: str) -> str:
    """Return a text in NFKC; one of more than 1,024 characters, too long for whatever is kept, stays as it is.

    The marks on a letter are sorted in a time that grows with the square of their number: for all that fit into a body,
    that is more than a second, in which nobody else is answered.
    """
    return text if len(text) > _LONGEST else unicodedata.normalize("NFKC", text)
