"""The texts that the cells of a workbook share: millions of them, in hardly more memory than their bytes."""

import re
from array import array
from typing import IO, Final
from xml.parsers import expat

_CHUNK_BYTES: Final = 1 << 20
#: How Excel writes what XML cannot hold, such as `_x000D_`. Greater numbers are read by neither reader.
_ESCAPED: Final = re.compile("_x00([0-9A-Fa-f]{2})_")


class SharedTexts:
    """A list of texts, kept as one block of UTF-8."""

    def __init__(self) -> None:
        self._bytes = bytearray()
        self._ends = array("Q")

    def append(self, text: str) -> None:
        """Adds the next one."""
        self._bytes += text.encode()
        self._ends.append(len(self._bytes))

    def __getitem__(self, number: int) -> str:
        """Raises IndexError, also for negative numbers."""
        if number < 0:
            raise IndexError(number)
        begin = self._ends[number - 1] if number else 0
        return self._bytes[begin : self._ends[number]].decode()


def read_shared_texts(part: IO[bytes]) -> SharedTexts:
    """The texts of xl/sharedStrings.xml, without those that only tell how a word is pronounced. Raises ExpatError."""
    texts, whole, pieces = SharedTexts(), [""], [""]
    state = {"in_text": False, "in_phonetic": False}

    def start(tag: str, _: dict[str, str]) -> None:
        match local_name(tag):
            case "si":
                whole.clear()
            case "t":
                pieces.clear()
                state["in_text"] = not state["in_phonetic"]
            case "rPh":
                state["in_phonetic"] = True

    def end(tag: str) -> None:
        match local_name(tag):
            case "si":
                texts.append("".join(whole))
            case "t":
                whole.append(unescaped("".join(pieces)))
                pieces.clear()
                state["in_text"] = False
            case "rPh":
                state["in_phonetic"] = False

    def characters(text: str) -> None:
        if state["in_text"]:
            pieces.append(text)

    parse(part, start, end, characters)
    return texts


def unescaped(text: str) -> str:
    """A piece of a text with the signs that were written by their numbers."""
    return _ESCAPED.sub(lambda found: chr(int(found[1], 16)), text) if "_x" in text else text


def local_name(tag: str) -> str:
    """A tag without its prefix."""
    return tag.rpartition(":")[2]


def parse(part: IO[bytes], start: object, end: object, characters: object) -> None:
    """Parses XML piece by piece. Entities of the document's own are bounded by expat; none is fetched."""
    parser = expat.ParserCreate()
    parser.buffer_text = True
    parser.StartElementHandler, parser.EndElementHandler, parser.CharacterDataHandler = start, end, characters  # type: ignore[assignment]
    while chunk := part.read(_CHUNK_BYTES):
        parser.Parse(chunk)
    parser.Parse(b"", True)
