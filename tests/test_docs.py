"""What the documents name exists: paths, links, commands, settings; and their sentences are short."""

import importlib
import importlib.util
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest
from pydantic_settings import BaseSettings

from services.processor.lane.row import State
from shared.contract.events import EVENT_TYPES

ROOT = Path(__file__).parents[1]
PAGES = sorted((ROOT / "docs" / "architecture").glob("*.md"))
DECISIONS = sorted((ROOT / "docs" / "decisions").glob("[0-9]*.md"))
DOCUMENTS = [
    *(ROOT / name for name in ("README.md", "ARCHITECTURE.md", "CONTRIBUTING.md", "CHANGELOG.md", "tests/README.md")),
    *sorted((ROOT / "docs").rglob("*.md")),
]
LIVING = [document for document in DOCUMENTS if document.name != "CHANGELOG.md"]
SETTINGS_MODULES = ("services.ingest.settings", "services.processor.settings", "services.status.settings")
SERVICES = ("ingest", "processor", "status")
MAX_WORDS = 30

every_document = pytest.mark.parametrize("document", LIVING, ids=lambda path: str(path.relative_to(ROOT)))
every_page = pytest.mark.parametrize("page", PAGES, ids=lambda path: path.stem)


def prose(text: str) -> str:
    """The text without its blocks of code: fenced, or indented after a blank line."""
    without_fences = re.sub(r"^```.*?^```$", "", text, flags=re.DOTALL | re.MULTILINE)
    return re.sub(r"(?<=\n\n)(?: {4}.*\n+)+", "", without_fences)


def inline_code(text: str) -> list[str]:
    return re.findall(r"`([^`\n]+)`", prose(text))


def slug(heading: str) -> str:
    """A heading's anchor as GitHub makes it."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


def anchors(document: Path) -> set[str]:
    return {slug(heading) for heading in re.findall(r"^#+ (.+)$", document.read_text("utf-8"), re.MULTILINE)}


def section(text: str, heading: str) -> str:
    """What stands under a heading of the second level."""
    return text.split(f"\n## {heading}\n", 1)[1].split("\n## ", 1)[0]


def table_rows(text: str) -> Iterator[list[str]]:
    """The cells of each row of each table, without its header."""
    for table in re.findall(r"^\|[ :|-]+\|\n((?:\|.*\|\n?)+)", text, re.MULTILINE):
        for line in table.strip().splitlines():
            yield [cell.strip() for cell in line.strip("|").split("|")]


def sentences(text: str) -> Iterator[str]:
    """Sentences in paragraphs, items and cells; what stands in backticks is a word, and so is a link's address."""
    text = re.sub(r"`[^`\n]+`", "code", prose(text))
    text = re.sub(r"\]\([^)]*\)", "]", text)
    blocks = re.split(r"\n\s*\n|\n(?=\s*(?:[-*|#]|\d+\.)\s)|\|", text)
    for block in blocks:
        yield from re.split(r"(?<=[.!?])\s+", " ".join(block.split()))


# ---- paths, links, commands ------------------------------------------------------------------------------------------


@every_document
def test_a_path_in_backticks_exists(document):
    """A `<placeholder>`, `NNNN` or `*` has to stand for at least one file."""
    folders = tuple(f"{path.name}/" for path in ROOT.iterdir() if path.is_dir() and not path.name.startswith("."))
    at_the_root = re.compile(r"[\w.-]+\.(?:toml|yml|md|txt)|Makefile")
    named = [
        code
        for code in inline_code(document.read_text("utf-8"))
        if (code.startswith(folders) and " " not in code) or at_the_root.fullmatch(code)
    ]
    missing = [path for path in named if not list(ROOT.glob(re.sub(r"<\w+>|NNNN", "*", path.rstrip("/"))))]
    assert missing == []


@every_document
def test_a_link_leads_somewhere(document):
    """To a file, and to a heading in it where it names one."""
    broken = []
    for target in re.findall(r"(?:\]\(|src=\")([^)\"]+)[)\"]", document.read_text("utf-8")):
        place, _, anchor = target.partition("#")
        path = (document.parent / place).resolve() if place else document
        if place.startswith("http"):
            continue
        if not path.exists() or (anchor and anchor not in anchors(path)):
            broken.append(target)
    assert broken == []


@every_document
def test_a_command_names_a_module_that_python_finds(document):
    """`python -m x.y`; a package has to have a `__main__`."""
    broken = []
    for name in set(re.findall(r"python -m ([\w.]+\w)", document.read_text("utf-8"))):
        found = importlib.util.find_spec(name)
        runs = found and (found.submodule_search_locations is None or importlib.util.find_spec(f"{name}.__main__"))
        if not runs:
            broken.append(name)
    assert broken == []


def test_who_works_on_it_is_given_commands_that_run_as_they_stand():
    """Outside the virtual environment nothing of ours can be imported."""
    text = (ROOT / "CONTRIBUTING.md").read_text("utf-8")
    assert re.findall(r"(?<!\.venv/bin/)python -m [\w.]+", text) == []


@every_document
def test_a_make_target_exists(document):
    """In backticks, or in a block of code."""
    text = document.read_text("utf-8")
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE))
    assert set(re.findall(r"(?:`|^ {4})make ([a-z]+)", text, re.MULTILINE)) <= targets


def test_the_lines_that_decide_are_where_the_readme_says():
    """Each row of "Where to begin reading" names a file, and something that is defined there."""
    rows = list(table_rows(section((ROOT / "README.md").read_text("utf-8"), "Where to begin reading")))
    places = [re.fullmatch(r"`([^`]+)`: `([^`]+)`", cells[1]) for cells in rows]
    assert len(places) >= 4
    for place in places:
        assert place is not None
        path, name = place.groups()
        definition = rf"^(?:{name}\b[:=]|\s*(?:async )?(?:def|class) {name}\b)"
        assert re.search(definition, (ROOT / path).read_text("utf-8"), re.MULTILINE), f"{path} has no {name}"


@every_document
def test_a_name_that_is_said_to_be_in_a_module_is_there(document):
    """As in "`name` in `path.py`", or "`one` and `other` in `path.py`"."""
    text = " ".join(prose(document.read_text("utf-8")).split())
    said = re.findall(r"((?:`\w+`(?:, | and ))*`\w+`) in `([\w/]+\.py)`", text)
    missing = [
        f"{path} has no {name}"
        for names, path in said
        for name in re.findall(r"\w+", names.replace(" and ", " "))
        if not re.search(
            rf"^\s*(?:(?:async )?def |class )?{name}\b(?: = |[:=(])", (ROOT / path).read_text("utf-8"), re.MULTILINE
        )
    ]
    assert missing == []


def test_the_states_in_the_diagram_of_a_row_are_those_of_the_code():
    """And every one of them is reached and left."""
    diagram = (ROOT / "docs" / "architecture" / "row.md").read_text("utf-8").split("```")[1]
    arrows = re.findall(r"^ +(\S+) --> ([^\s:]+)", diagram, re.MULTILINE)
    states = {state.name for state in State}
    assert {before for before, _ in arrows} == {after for _, after in arrows} == states | {"[*]"}


def test_a_log_line_that_is_told_of_is_written():
    """Each event in the table stands in the code of a service."""
    table = section((ROOT / "docs" / "architecture" / "operating.md").read_text("utf-8"), "Log lines")
    told = [event for cells in table_rows(table) for event in re.findall(r"`(\w+)`", cells[0])]
    code = "".join(path.read_text("utf-8") for room in ("services", "shared") for path in (ROOT / room).rglob("*.py"))
    assert [event for event in told if f'"{event}"' not in code] == []
    assert sorted(told) == sorted(set(told)), "each has one line"


# ---- settings --------------------------------------------------------------------------------------------------------


def settings_table() -> dict[str, str | None]:
    """Variable and default; None where one cell tells of several, or of none in particular."""
    table = section((ROOT / "docs" / "architecture" / "operating.md").read_text("utf-8"), "Settings")
    told: dict[str, str | None] = {}
    for cells in table_rows(table):
        names = [name for name in re.findall(r"`([^`]+)`", cells[0]) if not name.startswith("OTEL_")]
        defaults = [default.strip("`") for default in cells[1].split(", ")]
        told |= dict(zip(names, defaults if len(names) == len(defaults) else [None] * len(names), strict=True))
    return told


def settings_fields() -> dict[str, set[object]]:
    """Every field of every settings class of the services, with its defaults."""
    fields: dict[str, set[object]] = {}
    for module in map(importlib.import_module, SETTINGS_MODULES):
        for kind in vars(module).values():
            if isinstance(kind, type) and issubclass(kind, BaseSettings):
                for name, field in kind.model_fields.items():
                    fields.setdefault(name.upper(), set()).add(str(field.default))
    return fields


def test_the_settings_table_has_every_setting_and_no_other():
    """As the services' settings classes have them."""
    assert set(settings_table()) == set(settings_fields())


def test_the_settings_table_tells_the_defaults():
    """Where a variable has a cell of its own."""

    def value(text: str) -> object:
        bare = text.replace(",", "").rstrip("/")
        return float(bare) if re.fullmatch(r"\d+(?:\.\d+)?", bare) else bare

    told = {name: value(text) for name, text in settings_table().items() if text and " " not in text}
    fields = settings_fields()
    wrong = {name: text for name, text in told.items() if text not in {value(str(each)) for each in fields[name]}}
    assert wrong == {}


# ---- the shape of the documents --------------------------------------------------------------------------------------


@every_page
def test_a_page_begins_with_a_diagram_and_ends_with_the_code(page):
    """So that every page is read the same way."""
    text = page.read_text("utf-8")
    assert re.match(r"# .+\n\n```mermaid\n(?:sequenceDiagram|stateDiagram-v2)\n", text)
    assert re.findall(r"^## (.+)$", text, re.MULTILINE)[-1] == "Where it is in the code"
    items = section(text, "Where it is in the code").strip().splitlines()
    assert [item for item in items if not re.match(r"- `[^`]+`.* — ", item)] == []


@pytest.mark.parametrize(
    "document", [document for document in LIVING if document.name != "README.md"], ids=lambda path: path.stem
)
def test_no_sentence_is_longer_than_thirty_words(document):
    """Whoever reads it under stress reads it once."""
    long = [sentence for sentence in sentences(document.read_text("utf-8")) if len(sentence.split()) > MAX_WORDS]
    assert long == []


def test_architecture_is_two_screens():
    """It is the way in, not the whole."""
    assert len((ROOT / "ARCHITECTURE.md").read_text("utf-8").splitlines()) <= 120


def rooms_of(service: str) -> set[str]:
    """The folders of a service that hold code."""
    return {file.parent.name for file in (ROOT / "services" / service).glob("*/*.*") if file.suffix in (".py", ".js")}


def rooms_by_line(service: str) -> list[set[str]]:
    """The rooms of a service as ARCHITECTURE lists them."""
    text = (ROOT / "ARCHITECTURE.md").read_text("utf-8")
    table = text.split(f"| `services/{service}/` |", 1)[1].split("\n\n", 1)[0]
    return [set(re.findall(r"`(\w+)/`", line)) for line in table.splitlines()[2:]]


@pytest.mark.parametrize("service", SERVICES)
def test_architecture_has_every_room(service):
    """The folders of a service, and no others."""
    assert set().union(*rooms_by_line(service)) == rooms_of(service)


@pytest.mark.parametrize("service", SERVICES)
def test_architecture_lists_the_rooms_in_the_order_of_their_imports(service):
    """As the contract of import-linter has them, from the top down. The page is no Python, so it has no place there."""
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["tool"]["importlinter"]["contracts"]
    (layers,) = (each["layers"] for each in contracts if each.get("containers") == [f"services.{service}"])
    rooms = [set(re.findall(r"\w+", layer)) & rooms_of(service) for layer in layers]
    assert [line for line in rooms_by_line(service) if line != {"page"}] == [room for room in rooms if room]


def test_the_map_of_the_tests_has_everything_that_is_shared():
    """Each module of `tests/support`, and no other."""
    shared_part = section((ROOT / "tests" / "README.md").read_text("utf-8"), "What is shared")
    told = [cells[0].strip("`") for cells in table_rows(shared_part) if cells[0].endswith(".py`")]
    support = ROOT / "tests" / "support"
    assert sorted(told) == sorted(str(module.relative_to(support)) for module in support.rglob("*.py"))


def test_the_map_of_the_tests_has_every_folder():
    """Each folder right under `tests`, but for the helpers, and no folder that is gone."""
    folders = section((ROOT / "tests" / "README.md").read_text("utf-8"), "The folders")
    told = {cells[0].strip("`").split("/")[1] for cells in table_rows(folders)}
    there = {path.name for path in (ROOT / "tests").iterdir() if list(path.glob("**/*.py"))}
    assert told - {"test_docs.py", "test_rooms.py"} == there - {"support"}


def test_the_examples_tell_of_every_event():
    """The table beside them is the story that they tell."""
    table = (ROOT / "shared" / "contract" / "examples" / "README.md").read_text("utf-8")
    assert {name for cells in table_rows(table) for name in re.findall(r"`(\w+)`", cells[1])} == set(EVENT_TYPES)


def test_the_glossary_is_in_alphabetical_order():
    """So that a word is found, and is there once."""
    words = [cells[0].strip("*`").lower() for cells in table_rows((ROOT / "docs" / "glossary.md").read_text("utf-8"))]
    assert words == sorted(set(words))


def test_a_type_in_the_glossary_is_defined_where_it_says():
    """Words in backticks are classes."""
    rows = table_rows((ROOT / "docs" / "glossary.md").read_text("utf-8"))
    types = [(cells[0].strip("*`"), cells[2].strip("`")) for cells in rows if "`" in cells[0]]
    assert types != []
    assert [name for name, path in types if f"class {name}(" not in (ROOT / path).read_text("utf-8")] == []


def test_every_decision_has_a_number_a_date_and_three_parts():
    """And is in the list."""
    index = (ROOT / "docs" / "decisions" / "README.md").read_text("utf-8")
    numbers = [int(decision.name[:4]) for decision in DECISIONS]
    assert numbers == list(range(1, len(DECISIONS) + 1))
    for decision in DECISIONS:
        text = decision.read_text("utf-8")
        assert re.match(r"# .+\n\n\d{4}-\d\d-\d\d · \w+\n", text)
        assert re.findall(r"^## (.+)$", text, re.MULTILINE) == ["Context", "Decision", "Consequences"]
        assert f"]({decision.name})" in index


def test_a_changelog_entry_is_one_line_and_this_version_is_cut():
    """Nothing but headings, entries and the introduction."""
    text = (ROOT / "CHANGELOG.md").read_text("utf-8")
    version = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["version"]
    _, *body = text.split("\n## ")
    lines = [line for part in body for line in part.splitlines()[1:] if line]
    assert [line for line in lines if not re.match(r"### \w+|- \S", line)] == []
    assert f"\n## [{version}] - " in text
