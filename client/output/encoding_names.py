"""Encodings as their users know them; the page has the same names (services/status/page/upload/encoding_choice.js)."""

from typing import Final

ENCODING_NAMES: Final = {
    "utf-8": "UTF-8 (all languages)",
    "windows-1252": "Windows-1252 (Western Europe)",
    "windows-1250": "Windows-1250 (Central Europe)",
    "windows-1251": "Windows-1251 (Cyrillic)",
    "windows-1253": "Windows-1253 (Greek)",
    "windows-1254": "Windows-1254 (Turkish)",
    "windows-1255": "Windows-1255 (Hebrew)",
    "windows-1256": "Windows-1256 (Arabic)",
    "windows-1257": "Windows-1257 (Baltic)",
    "windows-1258": "Windows-1258 (Vietnamese)",
    "windows-874": "Windows-874 (Thai)",
    "iso-8859-15": "ISO 8859-15 (Western Europe)",
    "macintosh": "Mac Roman (Western Europe, old Macs)",
    "shift_jis": "Shift-JIS (Japanese)",
    "euc-kr": "EUC-KR (Korean)",
    "gb18030": "GB 18030 (simplified Chinese)",
    "big5": "Big5 (traditional Chinese)",
    "koi8-r": "KOI8-R (Russian)",
    "utf-16": "UTF-16 (all languages)",
    "utf-32": "UTF-32 (all languages)",
}


def encoding_name(encoding: str) -> str:
    """What a person is told; a rarer encoding is called as the service calls it."""
    return ENCODING_NAMES.get(encoding, encoding)
