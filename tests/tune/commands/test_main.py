import subprocess
import sys
import threading
from pathlib import Path

import pytest

import dclf
from cluster.plan import PlanError
from tune.commands import main as main_module
from tune.commands.dispatch import Command
from tune.commands.main import COMMANDS, main
from tune.config.yaml_files import ConfigError


def dclf_command(*arguments: str, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    code = "import sys; from tune.commands.main import main; sys.exit(main())"
    return subprocess.run(
        [sys.executable, "-c", code, *arguments], capture_output=True, text=True, check=False, cwd=cwd, timeout=120
    )


@pytest.mark.parametrize(
    "arguments", [["--help"], ["data", "--help"], ["data", "import", "--help"], ["plan", "--help"], ["track", "--help"]]
)
def test_help_of_groups_shows_examples(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(arguments) == 0
    assert "examples:\n  dclf " in capsys.readouterr().out


@pytest.mark.parametrize(
    "command",
    [
        ["data", "generate"],
        ["data", "import", "features"],
        ["data", "import", "mosei"],
        ["data", "import", "dag-erc"],
        ["data", "import", "csv"],
        ["data", "import", "huggingface"],
        ["data", "import", "mmgcn-iemocap"],
        ["data", "import", "mmgcn-meld"],
        ["data", "import", "meld-csv"],
        ["data", "inspect"],
        ["data", "validate"],
        ["train"],
        ["plan", "sweep"],
        ["sweep"],
        ["resume"],
        ["evaluate"],
        ["predict"],
        ["ui"],
        ["track", "send"],
    ],
)
def test_help_of_commands_shows_examples(command: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*command, "--help"]) == 0
    output = capsys.readouterr().out
    assert f"usage: dclf {' '.join(command)}" in output
    assert f"\n  dclf {' '.join(command)}" in output


def test_help_imports_nothing_heavy() -> None:
    code = (
        "import sys; from tune.commands.main import main\n"
        "for words in (['--help'], ['data', '--help'], ['data', 'generate', '--help'], ['ui', '--help'],"
        " ['track', 'send', '--help']): main(words)\n"
        "print([m for m in ('torch', 'ray', 'mlflow', 'sklearn', 'pyarrow', 'numpy') if m in sys.modules])\n"
        # The help of an importer is made from the function, which brings what it reads with.
        "main(['data', 'import', 'meld-csv', '--help'])\n"
        "print([m for m in ('torch', 'ray', 'mlflow', 'sklearn') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines().count("[]") == 2


@pytest.mark.parametrize("arguments", [["--version"], ["version"]])
def test_version(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(arguments) == 0
    assert capsys.readouterr().out == f"dclf {dclf.__version__}\n"


@pytest.mark.parametrize("arguments", [[], ["trian"], ["data"], ["data", "imprt"], ["--nope"], ["data", "inspect"]])
def test_wrong_usage_is_code_2(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(arguments) == 2
    assert "usage: dclf" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "hint"),
    [
        (["trian"], "dclf: error: unknown command 'trian'; did you mean train?\n"),
        (["eval"], "dclf: error: unknown command 'eval'; did you mean evaluate?\n"),
        (["clsuter", "up"], "'clsuter'; did you mean cluster?"),
        (["data", "improt"], "dclf data: error: unknown command 'improt'; did you mean import?"),
        (["data", "gen"], "'gen'; did you mean generate?"),
        (["track", "sned"], "dclf track: error: unknown command 'sned'; did you mean send?"),
        (["data", "import", "mmgcn-iemocp"], "'mmgcn-iemocp'; did you mean mmgcn-iemocap?"),
        (["plan", "swep"], "'swep'; did you mean sweep?"),
        (["cluster", "staus"], "'staus'; did you mean status?"),
        (["cluster"], "a command is missing (choose from up, status,"),
        (["submit", "--", "trian"], "'trian'; did you mean train?"),
        (["nonsense"], "unknown command 'nonsense' (choose from data,"),
        (["s"], "unknown command 's' (choose from data,"),
    ],
)
def test_a_mistyped_command_is_told_which_is_meant(
    arguments: list[str], hint: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("RAY_API_SERVER_ADDRESS", "http://127.0.0.1:9")
    assert main(arguments) == 2
    assert hint in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "problems"),
    [
        (["ablate", "--dry-run", "iemocap"], ["--dry-run: unknown option; dclf plan says what"]),
        (["grid", "--dry_run", "--loss.window", "2,4"], ["--dry-run: unknown option; dclf plan says what"]),
        (["study", "iemocap/table4", "--print_config"], ["--print-config: unknown option; dclf train and"]),
        (["ablate", "iemocap", "--print-config"], ["--print-config: unknown option; dclf train and"]),
        (
            ["train", "--dry-run", "--verbos", "--epochs", "5", "--modl=x"],
            [
                "--dry-run: unknown option; dclf plan",
                "--verbos: unknown option; did you mean --verbose?",
                "--epochs: unknown option; did you mean train.epochs?",
                "--modl: unknown option\n",
                "data.shards: must name",
            ],
        ),
        (["train", "nofile", "--modl=x"], ["--modl: unknown option\n", "config: must be a YAML file"]),
        (["sweep", "nofile", "--modl=x"], ["--modl: unknown option\n", "config: must be a YAML file"]),
    ],
)
def test_an_option_that_a_command_lacks_is_told_with_all_else(
    arguments: list[str], problems: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(arguments) == 2
    output = capsys.readouterr().err
    assert [problem for problem in problems if problem not in output] == []
    assert "must have a value" not in output


def test_a_mistake_is_one_message_without_traceback(tmp_path: Path) -> None:
    done = dclf_command("data", "inspect", "nowhere", cwd=tmp_path)
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr.startswith("dclf: error: nowhere")
    assert "Traceback" not in done.stderr


def test_debug_shows_the_traceback(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["data", "inspect", str(tmp_path / "nowhere"), "--debug"]) == 2
    assert "Traceback" in capsys.readouterr().err


@pytest.fixture
def failing(monkeypatch: pytest.MonkeyPatch) -> list[BaseException]:
    """A command that raises what is in the list."""
    errors: list[BaseException] = []

    def run(_argv: object) -> int:
        raise errors.pop()

    monkeypatch.setattr(main_module, "failing", run, raising=False)
    monkeypatch.setitem(COMMANDS, "failing", Command("fails", "tune.commands.main:failing"))
    return errors


@pytest.mark.parametrize(
    ("error", "code", "message"),
    [
        (KeyboardInterrupt(), 130, "interrupted"),
        (SystemExit(143), 143, ""),
        (SystemExit("enough"), 1, "enough"),
        (OSError("disk full"), 1, "error: disk full"),
        (ArithmeticError("L_CA is not finite"), 1, "error: L_CA is not finite"),
        (RuntimeError(), 1, "error: RuntimeError"),
        (ConfigError(["train.lr: a", "train.epochs: b"]), 2, "error: train.lr: a\ndclf: error: train.epochs: b"),
        (PlanError("train.workers 9 needs 10 CPU slots"), 2, "error: train.workers 9 needs"),
    ],
)
def test_exit_codes(
    failing: list[BaseException], error: BaseException, code: int, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    failing.append(error)
    assert main(["failing"]) == code
    assert message in capsys.readouterr().err


def test_our_own_mistakes_are_not_hidden(failing: list[BaseException]) -> None:
    failing.append(TypeError("a bug"))
    with pytest.raises(TypeError, match="a bug"):
        main(["failing"])


def test_it_can_be_called_from_another_thread() -> None:
    codes: list[int] = []
    thread = threading.Thread(target=lambda: codes.append(main(["version"])))
    thread.start()
    thread.join()
    assert codes == [0]


def test_the_program_ends_with_all_that_is_due() -> None:
    code = (
        "import atexit, sys, threading, time; from tune.commands import main\n"
        "def late(): time.sleep(0.3); print('thread')\n"
        "atexit.register(lambda: print('exit handler'))\n"
        "threading.Thread(target=late).start()\n"
        "sys.argv = ['dclf', *sys.argv[1:]]\n"
        "main.console()\n"
    )
    for arguments, lines, status in ((["version"], [f"dclf {dclf.__version__}"], 0), (["nonsense"], [], 2)):
        done = subprocess.run(
            [sys.executable, "-c", code, *arguments], capture_output=True, text=True, check=False, timeout=120
        )
        assert (done.stdout.splitlines(), done.returncode) == ([*lines, "thread", "exit handler"], status)
    assert "unknown command 'nonsense'" in done.stderr
