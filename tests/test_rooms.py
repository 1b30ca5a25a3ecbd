"""The rooms of the house: small enough to be looked over, and each says what it is for."""

import ast
from collections import Counter
from pathlib import Path

ROOT = Path(__file__).parents[1]
MOST_MODULES = 18
MODULES = sorted(
    path.relative_to(ROOT)
    for top in ("services", "shared", "client", "deploy", "tests", "examples")
    for path in (ROOT / top).rglob("*.py")
)
ROOMS = sorted({module.parent for module in MODULES if module.parts[0] in ("services", "shared", "client", "deploy")})


def test_no_folder_holds_more_modules_than_one_can_look_over():
    """Make a room for some of them instead."""
    full = {
        str(folder): count for folder, count in Counter(path.parent for path in MODULES).items() if count > MOST_MODULES
    }
    assert not full, f"more than {MOST_MODULES} modules: {full}"


def test_every_module_says_in_its_first_line_what_it_is_for():
    """Empty ones and those of migrations say it by their names."""
    silent = [str(module) for module in MODULES if "migrations" not in module.parts and not says_what_it_is_for(module)]
    assert not silent, f"without a docstring: {silent}"


def says_what_it_is_for(module):
    tree = ast.parse((ROOT / module).read_text())
    return not tree.body or ast.get_docstring(tree)


def test_every_room_is_a_package():
    """Else import-linter does not see what its modules import."""
    unseen = [str(room) for room in ROOMS if not (ROOT / room / "__init__.py").exists()]
    assert not unseen, f"without __init__.py: {unseen}"
