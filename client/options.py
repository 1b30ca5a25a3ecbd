"""The options that every command takes, before its name or after it."""

import functools
import inspect
import os
import re
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import fields, is_dataclass
from importlib import metadata
from typing import Annotated, Any, Concatenate, Final, ParamSpec, get_type_hints

import typer

from client.api import Api, open_client
from client.command_context import CommandContext
from client.exit_status import ExitStatus
from client.output.json_output import JsonOutput
from client.output.output import Output
from client.output.plain_output import PlainOutput
from client.output.quiet_output import QuietOutput
from client.output.terminal_output import TerminalOutput
from client.retry import RetryPolicy

P = ParamSpec("P")
DEFAULT_URL: Final = "http://localhost:8000"
URL_VARIABLE: Final = "HOSPITAL_BULK_URL"
API_KEY_VARIABLE: Final = "HOSPITAL_BULK_API_KEY"
_HEADER: Final = re.compile(r"[\x20-\x7e]+")
_ADDRESS: Final = re.compile(r"https?://([^\s/@]+@)?(\[[0-9A-Fa-f:.]+\]|[^\s/@\[\]:]+)(:\d{1,5})?(/\S*)?")


def header_value(value: str | None) -> str | None:
    """Checks text for an HTTP header. Raises BadParameter unless it is printable ASCII."""
    if value is not None and not _HEADER.fullmatch(value):
        raise typer.BadParameter("it may hold printable ASCII characters only, and at least one")
    return value


def service_url(value: str | None) -> str | None:
    """Checks the URL of a service, without the slash at its end. Raises BadParameter."""
    if value is None:
        return None
    if not _ADDRESS.fullmatch(value):
        raise typer.BadParameter(f"{value!r} is not an address such as {DEFAULT_URL}")
    return value.rstrip("/")


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"hospital-bulk {metadata.version('hospital-bulk')}")
        raise typer.Exit


# The environment is read in _open_context, not by typer: an option before the command wins over a variable.
Url = Annotated[
    str | None,
    typer.Option(
        "--url", metavar="URL", callback=service_url, help=f"Where the service is. [{URL_VARIABLE}; else {DEFAULT_URL}]"
    ),
]
ApiKey = Annotated[
    str | None,
    typer.Option(
        "--api-key",
        metavar="KEY",
        callback=header_value,
        help=f"Your API key, where such are in use. [{API_KEY_VARIABLE}]",
    ),
]
AsJson = Annotated[bool, typer.Option("--json", help="One JSON document, and nothing else, on standard output.")]
RetrySeconds = Annotated[
    float | None,
    typer.Option("--patience", metavar="SECONDS", min=0, help="How long to try again while the service is away. [120]"),
]
Quiet = Annotated[
    bool,
    typer.Option("--quiet", "-q", help="Errors only, and the answer itself: of an upload the job's id."),
]
Version = Annotated[bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Say which one it is.")]


def shared_options(
    ctx: typer.Context,
    url: Url = None,
    api_key: ApiKey = None,
    as_json: AsJson = False,
    quiet: Quiet = False,
    retry_seconds: RetrySeconds = None,
    version: Version = False,  # noqa: ARG001 - its callback has done it
) -> None:
    """Upload files of hospitals, and see what becomes of every row."""
    ctx.obj = {"url": url, "api_key": api_key, "as_json": as_json, "quiet": quiet, "retry_seconds": retry_seconds}


#: The version is of the program, not of a command.
_SHARED: Final = list(inspect.signature(shared_options).parameters.values())[:-1]


def command(app: typer.Typer, function: Callable[Concatenate[CommandContext, P], ExitStatus]) -> None:
    """Registers a function of a CommandContext as a command: it gets the shared options and returns the exit status.

    A parameter whose type is a dataclass stands for an option for each of its fields.
    """
    own = list(inspect.signature(function, eval_str=True).parameters.values())[1:]
    groups: dict[str, type[Any]] = {
        each.name: each.annotation
        for each in own
        if isinstance(each.annotation, type) and is_dataclass(each.annotation)
    }

    @functools.wraps(function)
    def run(ctx: typer.Context, **given: Any) -> None:
        before = ctx.obj
        ours = {name: given.pop(name) for name in before}
        chosen = {name: before[name] if value is None or value is False else value for name, value in ours.items()}
        for name, group in groups.items():
            given[name] = group(**{each.name: given.pop(each.name) for each in fields(group)})
        with _open_context(**chosen) as context:
            status = context.run(functools.partial(function, context, **given))
        raise typer.Exit(status)

    first, *others = _SHARED
    keywords = [
        each.replace(kind=inspect.Parameter.KEYWORD_ONLY)
        for parameter in (*own, *others)
        for each in (_options_of(groups[parameter.name]) if parameter.name in groups else [parameter])
    ]
    run.__signature__ = inspect.Signature([first, *keywords])  # type: ignore[attr-defined]
    run.__annotations__ = {each.name: each.annotation for each in (first, *keywords)}
    app.command(function.__name__.rstrip("_"))(run)


def _options_of(group: type[Any]) -> list[inspect.Parameter]:
    types = get_type_hints(group, include_extras=True)
    kind = inspect.Parameter.KEYWORD_ONLY
    return [
        inspect.Parameter(each.name, kind, default=each.default, annotation=types[each.name]) for each in fields(group)
    ]


@contextmanager
def _open_context(
    url: str | None, api_key: str | None, as_json: bool, quiet: bool, retry_seconds: float | None
) -> Iterator[CommandContext]:
    usual = _from_environment(URL_VARIABLE, service_url) or DEFAULT_URL
    key = api_key or _from_environment(API_KEY_VARIABLE, header_value)
    with open_client(url or usual, key) as client:
        api = Api(client, RetryPolicy() if retry_seconds is None else RetryPolicy(seconds=retry_seconds))
        context = CommandContext(api, _output(as_json, quiet), ("--url", url) if url and url != usual else (), quiet)
        api.on_retry = context.on_retry
        yield context


def _from_environment(name: str, check: Callable[[str | None], str | None]) -> str | None:
    try:
        return check(os.environ.get(name) or None)
    except typer.BadParameter as error:
        raise typer.BadParameter(f"{name}: {error.message}") from error


def _output(as_json: bool, quiet: bool) -> Output:
    if as_json:
        return JsonOutput(quiet)
    if quiet:
        return QuietOutput()
    dumb = os.environ.get("TERM") == "dumb"
    return TerminalOutput() if sys.stdout.isatty() and not dumb else PlainOutput()
