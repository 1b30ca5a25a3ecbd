"""The parts of an .xlsx: their names, in which capitals do not matter, and which of them is which sheet."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import IO, Final
from xml.etree import ElementTree
from zipfile import ZipFile

BOOK: Final = "xl/workbook.xml"
TEXTS: Final = "xl/sharedstrings.xml"
STYLES: Final = "xl/styles.xml"
SHEETS: Final = "xl/worksheets/"
_RELATIONS: Final = "xl/_rels/workbook.xml.rels"


@dataclass(frozen=True, slots=True)
class SheetPart:
    """A sheet with cells, and its part."""

    name: str
    part: str
    is_visible: bool


class Parts:
    """The parts of an archive that is open. Every method raises what a damaged archive or damaged XML raises."""

    def __init__(self, packed: ZipFile) -> None:
        self._packed = packed
        self._entries = {_folded(entry.filename): entry for entry in packed.infolist()}

    def __contains__(self, part: str) -> bool:
        return _folded(part) in self._entries

    def open(self, part: str) -> IO[bytes]:
        """The part, unpacked. Raises KeyError when there is none."""
        return self._packed.open(self._entries[_folded(part)])

    def xml(self, part: str) -> ElementTree.Element:
        """The root of a part that is small."""
        with self.open(part) as file:
            # Whatever somebody has put in there: the process has limits.
            return ElementTree.fromstring(file.read())  # noqa: S314

    def sizes(self) -> Iterator[tuple[str, int]]:
        """The parts, in small letters, and what each unpacks to, by the archive's own list."""
        return ((part, entry.file_size) for part, entry in self._entries.items())

    def sheets(self, book: ElementTree.Element) -> Iterator[SheetPart]:
        """The sheets in the workbook's order. `book`: the root of its part."""
        relations = (each for each in self.xml(_RELATIONS) if each.get("Type", "").endswith("/worksheet"))
        targets = {each.get("Id"): each.get("Target", "") for each in relations}
        for sheet in book.iter():
            if local(sheet.tag) == "sheet" and (id_ := _relation(sheet)) in targets:
                target = targets[id_]
                part = target[1:] if target.startswith("/") else f"xl/{target}"
                yield SheetPart(sheet.get("name", ""), part, sheet.get("state", "visible") == "visible")


def local(tag: str) -> str:
    """A tag without its namespace: Excel writes the same ones with another, "Strict Open XML"."""
    return tag.rpartition("}")[2]


def _relation(sheet: ElementTree.Element) -> str | None:
    return next((value for name, value in sheet.attrib.items() if local(name) == "id"), None)


def _folded(part: str) -> str:
    return part.replace("\\", "/").lower()
