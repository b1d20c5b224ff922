"""What the public functions refuse in a notebook, where no type checker looks: text for a list, a name for a Config."""

from collections.abc import Callable
from pathlib import Path

import pytest

import tune
from dclf.data import read_shards
from dclf.errors import WrongInputError
from tune.config.sweep_settings import SweepSettings
from tune.config.yaml_files import ConfigError

LISTS: dict[str, Callable[[], object]] = {
    "models": lambda: tune.ablation(models="mmgcn"),
    "parts": lambda: tune.ablation(parts="no_ica"),
    "runs": lambda: tune.compare("abc"),
    "columns": lambda: tune.list_runs(columns="wf1"),
    "only": lambda: tune.plan_reproduction("iemocap", {}, only="table4"),
    "speakers": lambda: tune.predict("bold", "talk.json", speakers="ann"),
}


@pytest.mark.parametrize("name", LISTS)
def test_text_is_no_list_of_names(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(WrongInputError, match=rf"^{name} must be a list of names, is '(\w+)'; write \['\1'\]$"):
        LISTS[name]()
    assert list(tmp_path.iterdir()) == []


def test_text_is_no_list_of_models_or_modalities_of_shards(shards: Path) -> None:
    with pytest.raises(WrongInputError, match=r"^models must be a list of names, is 'mmgcn'"):
        tune.plan_leaderboard(shards, models="mmgcn")
    with pytest.raises(WrongInputError, match=r"^modalities must be a list of names, is 'text'"):
        read_shards(shards, modalities="text")


@pytest.mark.parametrize("call", [tune.train, lambda config: tune.sweep(config, SweepSettings())])
def test_the_name_of_a_preset_is_no_config(call: Callable[[object], object]) -> None:
    with pytest.raises(WrongInputError, match=r"config must be a dclf.config.Config, is 'iemocap'; make one by"):
        call("iemocap")


@pytest.mark.parametrize("load", [tune.load_config, tune.load_sweep])
def test_a_number_is_no_configuration(load: Callable[[object], object]) -> None:
    with pytest.raises(ConfigError, match=r"^config: must be a YAML file or a preset's name, is 3$"):
        load(3)
