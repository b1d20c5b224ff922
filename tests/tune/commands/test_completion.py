"""What ``dclf completion`` prints completes words in a real bash, without a process of its own."""

import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tune.commands.command_page import commands_below
from tune.commands.completion import SHELLS, completion_script
from tune.commands.main import COMMANDS, main
from tune.config.settings import config_types, preset_names
from tune.search.read import sweep_types

BASH = shutil.which("bash") or "bash"
ASK = """
source "$1"; shift
complete -p dclf
COMP_WORDS=("$@") COMP_CWORD=$(($# - 1))
_shtab_dclf
printf '%s\\n' "${COMPREPLY[@]}"
"""
Complete = Callable[[str], set[str]]


@pytest.fixture(scope="module")
def script(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("completion") / "dclf"
    file.write_text(completion_script("bash"), encoding="utf-8")
    return file


@pytest.fixture
def complete(script: Path, tmp_path: Path) -> Complete:
    """Completes the last word of a line, in a folder with a file ``mine.yaml``, by a bash that finds no programs."""
    (tmp_path / "mine.yaml").touch()

    def words(line: str) -> set[str]:
        done = subprocess.run(
            [BASH, "--norc", "-euc", ASK, "bash", str(script), *line.split(" ")],
            cwd=tmp_path,
            env={"PATH": ""},
            capture_output=True,
            text=True,
            check=False,
        )
        assert (done.returncode, done.stderr) == (0, "")
        registered, *candidates = done.stdout.splitlines()
        # Files are completed where the function knows nothing.
        assert registered == "complete -o bashdefault -F _shtab_dclf dclf"
        return {*candidates} - {""}

    return words


def test_commands_and_those_of_groups(complete: Complete) -> None:
    assert complete("dclf ") == {*COMMANDS}
    assert complete("dclf da") == {"data", "dashboard"}
    assert complete("dclf data ") == {*commands_below(["data"])}
    assert complete("dclf data import ") == {*commands_below(["data", "import"])}
    assert complete("dclf plan ") == {*commands_below(["plan"])}


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("dclf data generate --pre", {"--preset"}),
        ("dclf data generate out --preset meld", {"meld", "meld-small"}),
        ("dclf cluster up --nod", {"--nodes"}),
        ("dclf completion ", {*SHELLS}),
        ("dclf show gammas --output ", {"text", "json"}),
        ("dclf train mine.yaml --loss.ab", {"--loss.ablate"}),
        ("dclf train mine.yaml --loss.ablate no_c", {"no_cacl", "no_ce"}),
        ("dclf train --model.name dialogue_", {"dialogue_gcn", "dialogue_rnn"}),
        ("dclf train --model.causal ", {"true", "false"}),
        ("dclf plan sweep mine.yaml --tri", {"--trials"}),
        ("dclf sweep m", {"mine.yaml", *(name for name in preset_names() if name.startswith("m"))}),
        ("dclf show gammas ", set()),
    ],
)
def test_options_keys_and_their_choices(line: str, expected: set[str], complete: Complete) -> None:
    assert complete(line) == expected


@pytest.mark.parametrize("command", ["train x", "sweep x", "ablate x", "grid x", "study x", "plan sweep x"])
def test_a_command_that_takes_keys_completes_all_of_them(command: str, complete: Complete) -> None:
    keys = {f"--{key}" for key in config_types() if "." in key}
    if command != "train x":
        keys |= {f"--{key}" for key in sweep_types()}
    assert keys <= complete(f"dclf {command} --")


@pytest.mark.parametrize("shell", SHELLS)
def test_every_shell_has_a_script(shell: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["completion", shell]) == 0
    script = capsys.readouterr().out
    for name in COMMANDS:
        assert name in script
    if shell == "zsh":
        # Where nothing is known of a value zsh completes files only if it is told so.
        assert '"--out[' in script
        assert ':_files"' in script
        assert ':"\n' not in script
