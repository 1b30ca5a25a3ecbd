"""In which encoding a file is: UTF-8, UTF-16 and UTF-32 by their marks, any other as the request names it, or guessed.

A guess is never taken by itself. Whoever uploads sees the words as they would read, and chooses.
"""

import codecs
import unicodedata
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO, Final

from charset_normalizer import from_bytes

from services.ingest.csv_file.encoding_samples import telling_samples
from shared.runtime.http.row_problems import EncodingGuess

CHUNK_BYTES: Final = 1 << 20
MAX_GUESSES: Final = 3
#: So many bytes round the first that are not ASCII are looked at for a guess.
_SAMPLE_BYTES: Final = 64 * 1024
#: Byte order marks. UTF-32 stands first, because its mark begins with that of UTF-16.
_MARKS: Final = {
    codecs.BOM_UTF8: "utf-8-sig",
    codecs.BOM_UTF32_LE: "utf-32",
    codecs.BOM_UTF32_BE: "utf-32",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}
#: What spreadsheets save as where they do not save UTF-8. Of those that read a file alike the first is shown.
_COMMON: Final = (
    "cp1252",
    "cp1250",
    "cp1251",
    "cp932",
    "cp949",
    "gb18030",
    "big5",
    "mac-roman",
    "iso8859-15",
    "cp1253",
    "cp1254",
    "cp1255",
    "cp1256",
    "cp1257",
    "cp874",
    "koi8-r",
)
#: Windows-1252 is by far the commonest: it is shown before others that are hardly more coherent.
_WESTERN_LEAD: Final = 2.5
#: Python's names of the commonest ones, as the list of IANA and browsers call them.
_SHOWN_AS: Final = {
    "cp1252": "windows-1252",
    "cp1250": "windows-1250",
    "cp1251": "windows-1251",
    "cp1253": "windows-1253",
    "cp1254": "windows-1254",
    "cp1255": "windows-1255",
    "cp1256": "windows-1256",
    "cp1257": "windows-1257",
    "cp1258": "windows-1258",
    "cp874": "windows-874",
    "cp932": "shift_jis",
    "cp949": "euc-kr",
    "mac-roman": "macintosh",
    "iso8859-1": "iso-8859-1",
    "iso8859-15": "iso-8859-15",
}
#: Encodings that Python reads better by another codec, as real files hold the larger set, and names it does not know.
_READ_AS: Final = {
    "shift_jis": "cp932",
    "euc_kr": "cp949",
    "gb2312": "gb18030",
    "gbk": "gb18030",
    "windows_874": "cp874",
    "windows_949": "cp949",
    "x_sjis": "cp932",
    "x_mac_roman": "mac-roman",
}
#: Codecs of Python that are no encodings of files, or that give what is no text.
_NOT_OF_FILES: Final = frozenset(
    {"idna", "mbcs", "oem", "palmos", "punycode", "raw-unicode-escape", "undefined", "unicode-escape", "utf-7"}
)


class EncodingUnknown(ValueError):
    """The file is not UTF-8. `guesses` are the encodings that it may be in, the likeliest first."""

    def __init__(self, guesses: tuple[EncodingGuess, ...]) -> None:
        super().__init__("The encoding is not known.")
        self.guesses = guesses


class EncodingWrong(ValueError):
    """The file is not in the encoding that the request names. `guesses` as in EncodingUnknown."""

    def __init__(self, encoding: str, guesses: tuple[EncodingGuess, ...]) -> None:
        super().__init__(f"The file is not in {encoding}. Choose another encoding.")
        self.guesses = guesses


def python_encoding(name: str) -> str | None:
    """The codec of an encoding that a request names; None when there is none for text."""
    wanted = name.strip().lower()
    try:
        codec = codecs.lookup(_better(wanted)).name
        "".encode(codec)  # raises LookupError for one that is not of text
    except (LookupError, ValueError):
        return None
    return None if codec in _NOT_OF_FILES else codecs.lookup(_better(codec)).name


def _better(name: str) -> str:
    return _READ_AS.get(name.replace("-", "_"), name)


def shown_encoding(codec: str) -> str:
    """The name of a codec as others call it."""
    return "utf-8" if codec == "utf-8-sig" else _SHOWN_AS.get(codec, codec)


def find_encoding(path: Path, requested: str | None = None, chunk_bytes: int = CHUNK_BYTES) -> str:
    """The codec that reads the whole file, `chunk_bytes` at a time. `requested`: the codec that the request names.

    Raises EncodingUnknown, and EncodingWrong when the requested one cannot read it.
    """
    with path.open("rb") as file:
        start = file.read(4096)
        # A mark goes first. Where it lies, the request may know better.
        for codec in filter(None, (_marked(start), requested or _wide_without_mark(start) or "utf-8")):
            file.seek(0)
            if _is_decodable(file, codec, chunk_bytes):
                return codec
        file.seek(0)
        guesses = _guesses(_foreign_lines(file))
    raise EncodingWrong(shown_encoding(requested), guesses) if requested else EncodingUnknown(guesses)


def _marked(start: bytes) -> str | None:
    return next((encoding for mark, encoding in _MARKS.items() if start.startswith(mark)), None)


def _wide_without_mark(start: bytes) -> str | None:
    """UTF-16 without a mark, by the zero bytes of Latin letters."""
    for codec, zeros, letters in (("utf-16-le", start[1::2], start[::2]), ("utf-16-be", start[::2], start[1::2])):
        if zeros and zeros.count(0) > 0.7 * len(zeros) and letters.count(0) < 0.1 * len(letters):
            return codec
    return None


def _is_decodable(file: BinaryIO, codec: str, chunk_bytes: int) -> bool:
    decoder = codecs.getincrementaldecoder(codec)()
    try:
        while chunk := file.read(chunk_bytes):
            decoder.decode(chunk)
        decoder.decode(b"", final=True)
    except UnicodeError:
        return False
    return True


def _foreign_lines(file: BinaryIO) -> bytes:
    """Lines that are not ASCII: what a guess can go by."""
    lines, size = [], 0
    while size < _SAMPLE_BYTES and (line := file.readline(_SAMPLE_BYTES)):
        if not line.isascii():
            lines.append(line)
            size += len(line)
    return b"".join(lines)


def _guesses(lines: bytes) -> tuple[EncodingGuess, ...]:
    """The likeliest first: most of what is not ASCII is letters, then what charset-normalizer finds most coherent."""
    codecs_by_text: dict[str, str] = {}
    for codec in _COMMON:
        with suppress(UnicodeDecodeError):
            text = lines.decode(codec)
            if not _has_stray_signs(text):
                codecs_by_text.setdefault(text, codec)
    coherent = [str(match) for match in from_bytes(lines, cp_isolation=[codec.replace("-", "_") for codec in _COMMON])]
    places = {text: place for place, text in reversed(list(enumerate(coherent)))}

    def rank(text: str) -> tuple[float, float]:
        place = float(places.get(text, len(coherent)))
        leads = codecs_by_text[text] == _COMMON[0] and _is_mostly_latin(lines)
        return -_letters(text), place - _WESTERN_LEAD if leads else place

    likely = sorted(codecs_by_text, key=rank)[:MAX_GUESSES]
    return tuple(
        EncodingGuess(encoding=shown_encoding(codecs_by_text[text]), sample=sample)
        for text, sample in zip(likely, telling_samples(likely), strict=True)
    )


def _has_stray_signs(text: str) -> bool:
    """Whether it has signs that no list of hospitals has: control signs, unassigned and private ones."""
    return any(unicodedata.category(sign) in ("Cc", "Cn", "Co") and sign not in "\t\r\n" for sign in text)


def _letters(text: str) -> float:
    """Which share of the signs that are not ASCII are letters, or quotes and dashes, in steps of a tenth."""
    foreign = [unicodedata.category(sign) for sign in text if not sign.isascii()]
    return round(sum(kind[0] in "LMNZ" or kind in ("Pi", "Pf", "Pd") for kind in foreign) / (len(foreign) or 1), 1)


def _is_mostly_latin(lines: bytes) -> bool:
    """Whether most letters are plain ones: accents stand here and there only."""
    return sum(chr(byte).isalpha() for byte in lines if byte < 128) > sum(byte >= 128 for byte in lines)
