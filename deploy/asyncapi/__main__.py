"""`python -m deploy.asyncapi` writes the AsyncAPI document anew from the code."""

import sys

from deploy.asyncapi.document import text
from shared.contract.asyncapi_document import DOCUMENT


def main() -> None:
    """Writes the document."""
    DOCUMENT.write_text(text(), "utf-8")
    sys.stdout.write(f"Wrote {DOCUMENT.name}\n")


if __name__ == "__main__":
    main()
