"""What a person says of a file: which column is which, the encoding, the sheet, what it corrects."""

import json
from dataclasses import dataclass
from typing import Annotated, Final

import typer

_FIELDS: Final = ("name", "address", "phone")


def column_choices(given: list[str] | None) -> list[str] | None:
    """Checks the values of `--map`. Raises BadParameter."""
    seen: set[tuple[str, str]] = set()
    for text in given or ():
        field, equals, column = text.partition("=")
        if not equals or _field(field) not in _FIELDS:
            raise typer.BadParameter(f"{text!r} is not FIELD=COLUMN, with a field of {', '.join(_FIELDS)}")
        if (_field(field), column) in seen:
            raise typer.BadParameter(f"{text!r} stands there twice")
        seen.add((_field(field), column))
    for field, column in seen:
        if not column and sum(other == field for other, _ in seen) > 1:
            raise typer.BadParameter(f"the {field} has a column, and none: leave out one of them")
    return given or None


def _field(text: str) -> str:
    return text.strip().lower()


@dataclass(frozen=True, slots=True)
class ReadingOptions:
    """The options of a command that say how its files are to be read, and what becomes of them.

    Nothing said: the service finds it.
    """

    columns: Annotated[
        list[str] | None,
        typer.Option(
            "--map",
            metavar="FIELD=COLUMN",
            callback=column_choices,
            help="Which column holds name, address or phone: --map name='Hospital Name'. Several are joined: "
            "--map address=STREET --map address=CITY. None: --map phone=. What is not named is found by its name.",
        ),
    ] = None
    encoding: Annotated[
        str | None, typer.Option(metavar="NAME", help="Of a file that is not UTF-8, such as windows-1252 or shift_jis.")
    ] = None
    sheet: Annotated[str | None, typer.Option(metavar="NAME", help="Of a workbook. Default: the first.")] = None
    header_row: Annotated[
        int | None,
        typer.Option(
            metavar="ROW",
            min=0,
            help="The row that names the columns. Default: it is found. 0: none does; --map name=B goes by letters.",
        ),
    ] = None
    allow_duplicates: Annotated[bool, typer.Option("--allow-duplicates", help="Rows that are alike are all meant.")] = (
        False
    )
    repeat_created: Annotated[
        bool, typer.Option("--repeat-created", help="Create once more what was created before.")
    ] = False
    strict: Annotated[
        bool, typer.Option("--strict", help="Warnings are errors, and so are hospitals that were created before.")
    ] = False
    max_failures: Annotated[
        str | None,
        typer.Option(metavar="NUMBER|SHARE%", help="Stop the job when more rows have failed: 50, or 5% of its rows."),
    ] = None
    corrects: Annotated[
        str | None,
        typer.Option(metavar="JOB", help="The job whose failed rows these are. A file of `failed` says it by itself."),
    ] = None

    @property
    def chosen_columns(self) -> dict[str, list[str]]:
        """The columns of each field that `--map` names, in order; an empty list means none."""
        chosen: dict[str, list[str]] = {}
        for text in self.columns or ():
            field, _, column = text.partition("=")
            chosen.setdefault(_field(field), []).extend([column] if column else [])
        return chosen

    @property
    def parameters(self) -> dict[str, str]:
        """The parameters of the request."""
        chosen = {field: columns or None for field, columns in self.chosen_columns.items()}
        said = {
            "mapping": json.dumps(chosen, ensure_ascii=False) if chosen else None,
            "encoding": self.encoding,
            "sheet": self.sheet,
            "header_row": None if self.header_row is None else str(self.header_row),
            "max_failures": self.max_failures,
            "corrects": self.corrects,
            **{name: "true" for name in ("allow_duplicates", "repeat_created", "strict") if getattr(self, name)},
        }
        return {name: value for name, value in said.items() if value}

    @property
    def words(self) -> list[str]:
        """The same options on a command line."""
        words = [word for text in self.columns or () for word in ("--map", text)]
        words += [] if self.encoding is None else ["--encoding", self.encoding]
        words += [] if self.sheet is None else ["--sheet", self.sheet]
        words += [] if self.header_row is None else ["--header-row", str(self.header_row)]
        words += ["--allow-duplicates"] * self.allow_duplicates
        words += ["--repeat-created"] * self.repeat_created
        words += ["--strict"] * self.strict
        words += [] if self.max_failures is None else ["--max-failures", self.max_failures]
        return words + ([] if self.corrects is None else ["--corrects", self.corrects])

    @property
    def unknown_to_old_services(self) -> str | None:
        """The first option that a service of an earlier version ignores."""
        return next((word for word in self.words if word.startswith("--") and word != "--allow-duplicates"), None)
