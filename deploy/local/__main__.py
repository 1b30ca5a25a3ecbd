"""`python -m deploy.local` runs everything on this machine; with an argument it runs one program alone."""

import importlib
import sys
from typing import Final

#: Imported only when asked for, so that one program needs no package of another.
_PROGRAMS: Final = {
    "": "deploy.local.run",
    "kafka": "deploy.local.broker.kafka",
    "topics": "deploy.topics",
    "sandbox": "deploy.local.sandbox",
}


def main() -> None:
    """Runs the program that the first argument names. Exit status 2 when there is none of that name."""
    name = sys.argv[1] if len(sys.argv) > 1 else ""
    if name not in _PROGRAMS:
        sys.stderr.write(
            f"There is no {name!r} to run: say one of {', '.join(filter(None, _PROGRAMS))}, or nothing for all\n"
        )
        raise SystemExit(2)
    importlib.import_module(_PROGRAMS[name]).main()


if __name__ == "__main__":
    main()
