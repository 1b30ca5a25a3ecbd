"""The command lines of the services: what they take, and how they refuse."""

import pytest

from shared.runtime.command_line import service_parser


@pytest.fixture
def parser():
    """Of a service with one command of its own."""
    parser, commands = service_parser("example", "Does things.")
    commands.add_parser("migrate", help="bring the tables up to date")
    return parser


@pytest.mark.parametrize(("arguments", "command"), [([], "serve"), (["serve"], "serve"), (["migrate"], "migrate")])
def test_without_a_command_it_serves(parser, arguments, command):
    """As every service was started before there were commands."""
    assert parser.parse_args(arguments).command == command


def test_an_unknown_command_is_one_line_that_says_where_help_is(parser, capsys):
    """Exit status 2, as for a wrong setting."""
    with pytest.raises(SystemExit) as ended:
        parser.parse_args(["nonsense"])
    error = capsys.readouterr().err
    assert (ended.value.code, error.count("\n")) == (2, 1)
    assert "'serve', 'migrate'" in error
    assert "python -m services.example --help" in error


def test_help_lists_the_commands(parser, capsys):
    """On standard output, with status 0."""
    with pytest.raises(SystemExit) as ended:
        parser.parse_args(["--help"])
    out = capsys.readouterr().out
    assert ended.value.code == 0
    assert "migrate" in out
    assert "bring the tables up to date" in out
