import re
from collections.abc import Iterator
from contextlib import redirect_stdout
from io import StringIO
from pathlib import Path

import pytest
from jsonargparse import ArgumentParser

from tune.commands import ablate, grid, leaderboard, perturb, plan, reproduce, study, sweep, train
from tune.commands.comparison import FLAGS, SHARDS, VALUED
from tune.commands.main import main
from tune.commands.options import add_log_options
from tune.commands.spelling import spelled, without_debug
from tune.commands.sweep_options import ALIASES
from tune.config.settings import config_types
from tune.search.read import sweep_types

PAGE = Path(__file__).parents[3] / "docs" / "commands.md"
GROUP = re.compile(r"^usage: dclf[a-z -]* \[-h\] \[--version\] COMMAND \.\.\.$", re.MULTILINE)
MEMBER = re.compile(r"^    ([a-z-]+)(?:\s|$)", re.MULTILINE)
OPTION = re.compile(r"(?<![\w-])--[a-z][\w.-]*")
ODD = re.compile(r"%%|%\(|default:\s+(null|None|\)|''|\{\})|Literal|==SUPPRESS==")
FLAG_DEFAULT = re.compile(r"\(default:\s+False\)")


def helps(*command: str) -> Iterator[tuple[str, str]]:
    """A command and its help, and those of the commands below it."""
    with redirect_stdout(StringIO()) as output:
        assert main([*command, "--help"]) == 0, command
    yield " ".join(["dclf", *command]), output.getvalue()
    if GROUP.search(output.getvalue()):
        for name in MEMBER.findall(output.getvalue()):
            yield from helps(*command, name)


@pytest.fixture(scope="module")
def texts() -> dict[str, str]:
    return dict(helps())


def test_every_command_is_walked_through(texts: dict[str, str]) -> None:
    assert {"dclf train", "dclf plan ablate", "dclf data import meld-csv", "dclf cluster up", "dclf version"} <= {
        *texts
    }
    assert len(texts) > 40


def test_every_command_has_a_section_on_its_page(texts: dict[str, str]) -> None:
    assert re.findall(r"^##+ (.*)$", PAGE.read_text(encoding="utf-8"), re.MULTILINE) == list(texts)


def test_every_help_says_what_the_command_does(texts: dict[str, str]) -> None:
    for command, text in texts.items():
        usage, description, *_ = text.split("\n\n")
        assert usage.split()[: 1 + len(command.split())] == ["usage:", *command.split()], command
        assert re.match(r"[A-Z].*[.)]$", description, re.DOTALL), (command, description)


def test_no_help_has_leftovers_of_its_making(texts: dict[str, str]) -> None:
    odd = [(command, match[0]) for command, text in texts.items() for match in ODD.finditer(text)]
    assert odd == []
    assert [command for command, text in texts.items() if FLAG_DEFAULT.search(text)] == []


def test_every_option_has_a_meaning(texts: dict[str, str]) -> None:
    for command, text in texts.items():
        lines = text.splitlines()
        for line, after in zip(lines, [*lines[1:], ""], strict=True):
            if re.match(r"  (-\w, )?--\w", line):
                assert re.search(r"\S {2,}\S", line[2:]) or after.startswith(" " * 8), (command, line)


def test_every_option_is_reached_by_both_spellings(texts: dict[str, str]) -> None:
    options = {option for text in texts.values() for option in OPTION.findall(text)} - {"--section.key"}
    keys = {f"--{key}" for key in (*config_types(), *sweep_types())}
    assert {"--print-config", "--seeds-per-trial", "--val-dialogues", "--train.batch_size"} <= options | keys
    for option in options | keys:
        for other in (option.replace("_", "-"), f"--{option[2:].replace('-', '_')}"):
            assert spelled([other, f"{other}=a-b_c"]) == [option, f"{option}=a-b_c"]


def logging(parser: ArgumentParser) -> ArgumentParser:
    """As ``read`` of a comparison has it."""
    add_log_options(parser)
    return parser


@pytest.mark.parametrize(
    ("parser", "own"),
    [
        (train.build_parser(with_keys=False), (*train.FLAGS, *train.VALUED)),
        (sweep.build_parser(), (*sweep.FLAGS, *sweep.VALUED, *ALIASES)),
        (plan.build_parser(), (*plan.FLAGS, *plan.VALUED, *ALIASES)),
        (perturb.build_parser(), (*perturb.FLAGS, *perturb.VALUED)),
        (reproduce.build_parser(), (*reproduce.OWN_FLAGS, *reproduce.OWN_VALUED)),
        (logging(ablate.build_parser("ablate")), (*FLAGS, *VALUED, "--models", "--parts")),
        (logging(grid.build_parser("grid")), (*FLAGS, *VALUED)),
        (logging(leaderboard.build_parser("leaderboard")), (*FLAGS, *leaderboard.OWN_VALUED)),
        (logging(study.build_parser("study")), (*FLAGS, *VALUED, "--models")),
    ],
    ids=lambda value: value.prog if isinstance(value, ArgumentParser) else "",
)
def test_every_option_of_the_parser_is_told_from_overrides(parser: ArgumentParser, own: tuple[str, ...]) -> None:
    options = {text for action in parser._actions for text in action.option_strings}
    assert {*own} <= options <= {*own, *ALIASES, SHARDS}


def test_names_that_users_gave_and_words_after_two_dashes_stay() -> None:
    words = [
        "--sweep.space.loss.terms.my-term.weight",
        "1",
        "--track.tags.my-tag",
        "--track.tags.my_tag=1",
        "--sweep.objectives.f1/well-being",
        "my_run",
        "--",
        "--a_b",
    ]
    assert spelled(words) == words


def test_debug_belongs_to_the_command_on_whose_side_of_two_dashes_it_stands() -> None:
    assert without_debug(["train", "--debug", "meld"]) == (["train", "meld"], True)
    job = ["submit", "--", "train", "--debug"]
    assert without_debug(job) == (job, False)


@pytest.mark.parametrize("option", ["--print-config", "--print_config"])
@pytest.mark.parametrize("command", ["train", "sweep"])
def test_both_spellings_print_the_configuration(command: str, option: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([command, "meld", option, "--train.batch-size", "3"]) == 0
    assert "\n  batch_size: 3\n" in capsys.readouterr().out
