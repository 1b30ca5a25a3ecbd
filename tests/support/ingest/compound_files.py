"""Old workbooks (.xls): streams in a compound file, as Excel wrote them until 2003, and encrypted new ones."""

import struct
from collections.abc import Mapping, Sequence

_SECTOR = 512
_FREE, _END, _FAT = 0xFFFFFFFF, 0xFFFFFFFE, 0xFFFFFFFD


def compound_file(streams: Mapping[str, bytes]) -> bytes:
    """A compound file with these streams. Each is filled up with zeros to 4,096 bytes, so that none is a small one."""
    contents = [content.ljust(4096, b"\0") for content in streams.values()]
    sizes = [-(-len(content) // _SECTOR) for content in contents]
    directory_sectors = -(-(len(streams) + 1) // 4)
    fat_sectors = next(n for n in range(1, 200) if n * 128 >= n + directory_sectors + sum(sizes))
    fat = [_FAT] * fat_sectors
    fat += _chain(fat_sectors, directory_sectors)
    entries = [_entry("Root Entry", 5, _END, 0, child=1)]
    for number, (name, size, content) in enumerate(zip(streams, sizes, contents, strict=True), 1):
        following = number + 1 if number < len(streams) else _FREE
        entries.append(_entry(name, 2, len(fat), len(content), right=following))
        fat += _chain(len(fat), size)
    fat += [_FREE] * (fat_sectors * 128 - len(fat))
    directory = b"".join(entries).ljust(directory_sectors * _SECTOR, b"\0")
    header = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + b"\0" * 16 + struct.pack("<HHHHH6x", 0x3E, 3, 0xFFFE, 9, 6)
    header += struct.pack("<IIIIIIIII", 0, fat_sectors, fat_sectors, 0, 4096, _END, 0, _END, 0)
    places = [*range(fat_sectors), *[_FREE] * (109 - fat_sectors)]
    header += struct.pack("<109I", *places)
    body = b"".join(content.ljust(size * _SECTOR, b"\0") for size, content in zip(sizes, contents, strict=True))
    return header + struct.pack(f"<{len(fat)}I", *fat) + directory + body


def xls(rows: Sequence[Sequence[str]], *, version: int = 5, is_protected: bool = False) -> bytes:
    """A workbook of Excel 5 or 97 with one sheet of text. `is_protected`: it asks for a password."""
    # A FilePass record: nothing after it can be read.
    protection = _record(0x2F, b"\1\0\1\0\1\0") if is_protected else b""
    name = b"List" if version == 5 else b"\0List"
    sheet_at = 12 + 8 + len(protection) + 4 + 7 + len(name) + 4
    globals_ = _bof(version, 0x05) + _record(0x42, struct.pack("<Hxx", 1252 if version == 5 else 1200)) + protection
    globals_ += _record(0x85, struct.pack("<IBBB", sheet_at, 0, 0, 4) + name) + _record(0x0A)
    assert len(globals_) == sheet_at
    cells = b"".join(
        _record(
            0x204,
            struct.pack("<HHHH", row, column, 0, len(text)) + (b"" if version == 5 else b"\0") + text.encode("cp1252"),
        )
        for row, texts in enumerate(rows)
        for column, text in enumerate(texts)
    )
    stream = globals_ + _bof(version, 0x10) + cells + _record(0x0A)
    return compound_file({"Book" if version == 5 else "Workbook": stream})


def encrypted_xlsx() -> bytes:
    """A new workbook with a password: its package is encrypted, in a compound file."""
    return compound_file(
        {"EncryptionInfo": struct.pack("<HHI", 4, 4, 0x40) + b"<encryption/>", "EncryptedPackage": b"\1" * 5000}
    )


def _chain(begin: int, count: int) -> list[int]:
    return [*range(begin + 1, begin + count), _END]


def _entry(name: str, kind: int, begin: int, size: int, *, child: int = _FREE, right: int = _FREE) -> bytes:
    text = name.encode("utf-16-le") + b"\0\0"
    return (
        text.ljust(64, b"\0")
        + struct.pack("<HBBIII", len(text), kind, 1, _FREE, right, child)
        + b"\0" * 36
        + struct.pack("<IQ", begin, size)
    )


def _bof(version: int, kind: int) -> bytes:
    return _record(0x809, struct.pack("<HHHH", 0x0500 if version == 5 else 0x0600, kind, 0, 0))


def _record(number: int, content: bytes = b"") -> bytes:
    return struct.pack("<HH", number, len(content)) + content
