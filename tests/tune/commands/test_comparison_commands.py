"""The command lines of ``dclf ablate`` and ``dclf grid``: what they ask for, and what they refuse."""

from typing import Any

import pytest

from tune.commands import comparison
from tune.commands.grid import varied_values
from tune.commands.main import main
from tune.config.sweep_settings import SweepSettings

DATA = ("--data.shards", "shards/demo")
Shown = pytest.CaptureFixture[str]


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """What reaches the study, instead of running it."""
    found: list[Any] = []

    def keep(sound: Any, *, kind: str) -> int:
        found.extend([sound, kind])
        return 0

    monkeypatch.setattr(comparison, "run_asked", keep)
    return found


def settings_of(asked: list[Any]) -> SweepSettings:
    made = asked[0].settings
    assert isinstance(made, SweepSettings)
    return made


def test_ablations_leave_out_every_part_by_default(asked: list[Any]) -> None:
    assert main(["ablate", "iemocap", *DATA, "--models", "mmgcn,ddin", "--seeds", "3", "--concurrency", "1"]) == 0
    made = settings_of(asked)
    assert asked[1] == "ablation"
    assert made.space["model.name"] == {"choices": ["mmgcn", "ddin"]}
    assert made.space["loss.ablate"]["choices"][0] == "none"
    assert set(made.space["loss.ablate"]["choices"]) == {"none", "base", "no_cacl", "no_ce", "no_mccl", "no_ica"}
    assert (made.seeds, made.sampler, made.scheduler, made.test, made.concurrency) == (3, "grid", "none", "all", 1)
    assert made.trials == 2 * 6


def test_some_parts_are_compared_with_the_whole(asked: list[Any]) -> None:
    assert main(["ablate", "iemocap", *DATA, "--parts", "no_cacl, base"]) == 0
    assert settings_of(asked).space == {"loss.ablate": {"choices": ["none", "no_cacl", "base"]}}
    assert settings_of(asked).seeds == 5


def test_keys_with_several_values_are_varied(asked: list[Any]) -> None:
    words = ["--loss.window", "2,4,8", "--loss.temperature=0.07,0.1", "--train.epochs", "3"]
    assert main(["grid", "iemocap", *DATA, *words]) == 0
    assert asked[1] == "grid"
    assert settings_of(asked).space == {
        "loss.window": {"choices": [2, 4, 8]},
        "loss.temperature": {"choices": [0.07, 0.1]},
    }
    assert asked[0].config.train.epochs == 3


def test_lists_in_brackets_are_one_value() -> None:
    words = ["x.yaml", "--data.modalities", "[text,audio]", "--loss.pairs", "bank,batch", "--name", "a,b"]
    assert varied_values(words) == (
        ["x.yaml", "--data.modalities", "[text,audio]", "--name", "a,b"],
        {"loss.pairs": ["bank", "batch"]},
    )


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["ablate", "iemocap", "--parts", "no_cal"], "--parts: must be among no_cacl, no_ce, no_mccl, no_ica, base"),
        (["ablate", "iemocap", *DATA, "--models", "mmgnc"], "mmgnc"),
        (["ablate", "iemocap", *DATA, "--seeds", "0"], "sweep.seeds: must be at least 1, is 0"),
        (["ablate", "iemocap", "--seeds", "x"], "seeds"),
        (["ablate", "iemocap", "--trials", "4"], "--trials: is for searches"),
        (["ablate", "iemocap", "--sweep.scheduler", "asha"], "--sweep.scheduler: is for searches"),
        (["ablate", "iemocap", "--loss.windw", "4"], "loss.windw"),
        (["grid", "iemocap"], "grid: must vary a key, as in --loss.window 2,4,8,16"),
        (["grid", "iemocap", *DATA, "--loss.window", "2,x"], "loss.window"),
        (["grid", "iemocap", "--loss.windw", "2,4"], "loss.windw"),
        (["grid", "iemocap", *DATA, "--loss.window", "2,4", "--loss.window", "8"], "loss.window: must be given once"),
        (["grid", "iemocap", *DATA, "--loss.window", "2,4", "--loss.window=8,16"], "loss.window: must be given once"),
        (["grid", "nowhere.yaml", "--loss.window", "2,4"], "nowhere.yaml"),
    ],
)
def test_mistakes_are_told_before_anything_starts(words: list[str], said: str, asked: list[Any], capsys: Shown) -> None:
    assert main(words) == 2
    assert said in capsys.readouterr().err
    assert not asked


@pytest.mark.parametrize("command", ["ablate", "grid"])
def test_help_names_the_options_and_no_search(command: str, capsys: Shown) -> None:
    assert main([command, "--help"]) == 0
    shown = capsys.readouterr().out
    assert "--seeds" in shown
    assert "--concurrency" in shown
    assert "--scheduler" not in shown
