"""The name under which a browser keeps a file: made from a name that somebody else chose."""

import re
from pathlib import PurePosixPath
from typing import Final
from urllib.parse import quote

_MAX_STEM_CHARS: Final = 100
#: What no file system or no header takes.
_UNSAFE: Final = re.compile(r'[<>:"/\\|?*;%]')


def file_name(uploaded: str, part: str, ending: str = "csv") -> str:
    """`hospitals.xlsx`, `failed` → `hospitals-failed.csv`."""
    last = PurePosixPath(uploaded.replace("\\", "/")).name
    stem = last.rpartition(".")[0] or last
    readable = "".join(character if character.isprintable() else "_" for character in stem)
    safe = _UNSAFE.sub("_", readable).strip(" .-")[:_MAX_STEM_CHARS].rstrip(" .-")
    return f"{safe or 'hospitals'}-{part}.{ending}"


def content_disposition(name: str) -> str:
    """The header: the name as it is (RFC 6266), and one of plain ASCII for those who do not know that."""
    plain = name.encode("ascii", "replace").decode().replace("?", "_")
    header = f'attachment; filename="{plain}"'
    return header if plain == name else f"{header}; filename*=UTF-8''{quote(name, safe='')}"
