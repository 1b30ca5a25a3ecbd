"""The options that every command takes, before its name or after it."""

import functools
import inspect
import os
import re
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Annotated, Any, Concatenate, Final, ParamSpec

import typer

from client.api import Api, open_client
from client.command_context import Desk
from client.exit_status import ExitStatus
from client.output.json_output import JsonScreen
from client.output.output import Screen
from client.output.plain_output import PlainScreen
from client.output.terminal_output import TerminalScreen
from client.retry import Patience

P = ParamSpec("P")
DEFAULT_URL: Final = "http://localhost:8000"
URL_VARIABLE: Final = "HOSPITAL_BULK_URL"
API_KEY_VARIABLE: Final = "HOSPITAL_BULK_API_KEY"
_HEADER: Final = re.compile(r"[\x20-\x7e]+")
_ADDRESS: Final = re.compile(r"https?://([^\s/@]+@)?(\[[0-9A-Fa-f:.]+\]|[^\s/@\[\]:]+)(:\d{1,5})?(/\S*)?")


def header(value: str | None) -> str | None:
    """What may go into an HTTP header. Raises BadParameter."""
    if value is not None and not _HEADER.fullmatch(value):
        raise typer.BadParameter("it may hold printable ASCII characters only, and at least one")
    return value


def address(value: str | None) -> str | None:
    """Where a service can be. Raises BadParameter."""
    if value is None:
        return None
    if not _ADDRESS.fullmatch(value):
        raise typer.BadParameter(f"{value!r} is not an address such as {DEFAULT_URL}")
    return value.rstrip("/")


# The environment is asked last of all, by hand: an option before the command is worth more than a variable.
Url = Annotated[
    str | None,
    typer.Option(metavar="URL", callback=address, help=f"Where the service is. [{URL_VARIABLE}; else {DEFAULT_URL}]"),
]
ApiKey = Annotated[
    str | None,
    typer.Option(metavar="KEY", callback=header, help=f"Your API key, where such are in use. [{API_KEY_VARIABLE}]"),
]
AsJson = Annotated[bool, typer.Option("--json", help="One JSON document, and nothing else, on standard output.")]
PatienceSeconds = Annotated[
    float | None,
    typer.Option("--patience", metavar="SECONDS", min=0, help="How long to try again while the service is away. [120]"),
]


def shared(
    ctx: typer.Context,
    url: Url = None,
    api_key: ApiKey = None,
    as_json: AsJson = False,
    patience: PatienceSeconds = None,
) -> None:
    """Upload CSV files of hospitals, and see what becomes of every row."""
    ctx.obj = {"url": url, "api_key": api_key, "as_json": as_json, "patience": patience}


_SHARED: Final = list(inspect.signature(shared).parameters.values())


def command(app: typer.Typer) -> Callable[[Callable[Concatenate[Desk, P], ExitStatus]], None]:
    """Makes a function of a Desk a command of the app: the shared options are added, its answer is the exit status."""

    def add(function: Callable[Concatenate[Desk, P], ExitStatus]) -> None:
        @functools.wraps(function)
        def run(ctx: typer.Context, **given: Any) -> None:
            before = ctx.obj
            ours = {name: given.pop(name) for name in before}
            chosen = {name: before[name] if value is None or value is False else value for name, value in ours.items()}
            with _desk(**chosen) as desk:
                status = desk.run(functools.partial(function, desk, **given))
            raise typer.Exit(status)

        own = list(inspect.signature(function, eval_str=True).parameters.values())[1:]
        first, *others = _SHARED
        keywords = [each.replace(kind=inspect.Parameter.KEYWORD_ONLY) for each in (*own, *others)]
        run.__signature__ = inspect.Signature([first, *keywords])  # type: ignore[attr-defined]
        run.__annotations__ = {each.name: each.annotation for each in (first, *keywords)}
        app.command(function.__name__.rstrip("_"))(run)

    return add


@contextmanager
def _desk(url: str | None, api_key: str | None, as_json: bool, patience: float | None) -> Iterator[Desk]:
    usual = _from_environment(URL_VARIABLE, address) or DEFAULT_URL
    key = api_key or _from_environment(API_KEY_VARIABLE, header)
    with open_client(url or usual, key) as client:
        api = Api(client, Patience() if patience is None else Patience(seconds=patience))
        desk = Desk(api, _screen(as_json), ("--url", url) if url and url != usual else ())
        api.told = desk.told
        yield desk


def _from_environment(name: str, checked: Callable[[str | None], str | None]) -> str | None:
    try:
        return checked(os.environ.get(name) or None)
    except typer.BadParameter as error:
        raise typer.BadParameter(f"{name}: {error.message}") from error


def _screen(as_json: bool) -> Screen:
    if as_json:
        return JsonScreen()
    dumb = os.environ.get("TERM") == "dumb"
    return TerminalScreen() if sys.stdout.isatty() and not dumb else PlainScreen()
