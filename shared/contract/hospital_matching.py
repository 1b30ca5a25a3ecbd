"""When two hospitals count as the same: the rule for duplicates in a file and for finding a row in the directory again.

Alike means alike after folding case, white space and the punctuation of phone numbers.
"""

import re
import unicodedata
from typing import Final, NamedTuple

_NOT_IN_A_NUMBER: Final = re.compile(r"[^0-9a-z+]+")


class MatchingKey(NamedTuple):
    """A hospital with everything folded away that people write in different ways."""

    name: str
    address: str
    phone: str


def matching_key(name: str, address: str, phone: str | None) -> MatchingKey:
    """The folded form: two hospitals are alike when theirs are equal."""
    return MatchingKey(fold(name), fold(address), fold_phone(phone or ""))


def fold(text: str) -> str:
    """Case and spaces folded: `" St.  MARY "` and `"St. Mary"` are alike. Composed and decomposed letters too."""
    if text.isascii():
        return " ".join(text.lower().split())
    # Folding case takes letters apart ("ΐ") or brings new ones ("ß"): composed only afterwards, twice is once.
    folded = unicodedata.normalize("NFD", text).casefold()
    return " ".join(unicodedata.normalize("NFC", folded).split())


def fold_phone(text: str) -> str:
    """Only digits, letters and `+` count: `"(555) 010-1"` and `"555 0101"` are alike."""
    return _NOT_IN_A_NUMBER.sub("", fold(text))
