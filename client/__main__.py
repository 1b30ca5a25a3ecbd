"""`hospital-bulk`, also `python -m client`: `--help` lists the commands."""

import sys

from client.app import app


def main() -> None:
    """Runs the command and ends the process with its exit status."""
    for stream in (sys.stdout, sys.stderr):
        # A terminal that knows few characters shows a question mark instead of ending the command.
        stream.reconfigure(errors="replace")  # type: ignore[union-attr]
    app(prog_name="hospital-bulk")


if __name__ == "__main__":
    main()
