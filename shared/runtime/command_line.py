"""The command line of a service: `python -m services.<name> [command]`, `serve` when no command is given."""

import argparse
from typing import NoReturn

from shared.runtime.settings import stop

#: What `add_subparsers` returns; its name is private in argparse.
Commands = argparse._SubParsersAction


class ServiceParser(argparse.ArgumentParser):
    """Says what is wrong in one line, as a wrong setting does; `--help` lists the commands."""

    def error(self, message: str) -> NoReturn:
        """Ends the process with status 2."""
        stop(f"{message} ({self.prog} --help lists the commands)")


def service_parser(service: str, serves: str) -> "tuple[ServiceParser, Commands[ServiceParser]]":
    """A parser for `python -m services.<service>`, and where its commands are added; it has `serve` already.

    `serves`: what the service does when it serves, for the help. The parsed arguments have `command`.
    """
    parser = ServiceParser(prog=f"python -m services.{service}", description=serves)
    commands = parser.add_subparsers(title="commands", dest="command", metavar="command", parser_class=ServiceParser)
    parser.set_defaults(command="serve")
    commands.add_parser("serve", help="serve until SIGTERM or SIGINT; the default")
    return parser, commands
