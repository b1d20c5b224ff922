"""The table of trials and the best configuration."""

import math
from pathlib import Path

import pytest
import yaml

from dclf.config import Config
from tests.tune.study.samples import BASE, add_trial, base_params, fill, new_folder
from tune.config.overrides import apply
from tune.config.settings import load_config
from tune.study.best import trial_config
from tune.study.folder import StudyFolder
from tune.study.places import StudyError
from tune.study.trial_table import best_config, best_yaml, param_keys, trials_frame


def test_every_trial_has_a_row(tmp_path: Path) -> None:
    folder = fill(new_folder(tmp_path), 40)
    frame = trials_frame(folder)
    assert list(frame["number"]) == list(range(40))
    assert list(frame["state"]) == [trial.state for trial in folder.ledger.trials.values()]
    assert list(frame.columns[:3]) == ["number", "state", "wf1"]
    assert frame["wf1"].notna().sum() == sum(bool(trial.values) for trial in folder.ledger.trials.values())


def test_seeds_and_their_deviation(tmp_path: Path) -> None:
    folder = new_folder(tmp_path, objectives={"wf1": "maximize", "wa": "maximize"}, seeds=3)
    add_trial(folder, {"loss.window": 3}, [[0.5, 0.1], [0.6, 0.2], [0.7, 0.6]], epochs=4)
    row = trials_frame(folder).iloc[0]
    assert row["wf1"] == pytest.approx(0.6)
    assert row["wf1_std"] == pytest.approx(0.1)
    assert row["wa_std"] == pytest.approx(math.sqrt(0.07))
    assert [row[f"wa_seed{seed}"] for seed in range(3)] == [0.1, 0.2, 0.6]
    assert row["epochs"] == 12
    assert row["run_ids"] == "run0s0 run0s1 run0s2"


def test_one_seed_has_no_deviation(folder: StudyFolder) -> None:
    add_trial(folder, {}, [[0.5]])
    assert not [name for name in trials_frame(folder).columns if "std" in name or "seed" in name]


def test_what_is_not_known_is_nan(folder: StudyFolder) -> None:
    add_trial(folder, {}, [], "waiting")
    row = trials_frame(folder).iloc[0]
    assert all(math.isnan(row[name]) for name in ("wf1", "seconds", "loss.window"))


def test_an_empty_study_has_the_columns(folder: StudyFolder) -> None:
    assert "loss.gamma_ca" in trials_frame(folder).columns
    assert trials_frame(folder).empty


def test_keys_outside_the_space_follow_it(folder: StudyFolder) -> None:
    add_trial(folder, {"train.lr": 0.1}, [[0.5]])
    assert param_keys(folder) == [*folder.definition.space, "train.lr"]


def test_the_best_yaml_trains_the_best_config(folder: StudyFolder, tmp_path: Path) -> None:
    add_trial(folder, base_params(), [[0.5]])
    add_trial(folder, {"loss.window": 3, "loss.gamma_ca": 0.25}, [[0.625]])
    file = tmp_path / "best.yaml"
    file.write_text(best_yaml(folder), encoding="utf-8")
    assert load_config(file) == best_config(folder)
    assert best_config(folder).loss.window == 3
    assert best_config(folder).loss.temperature == BASE.loss.temperature
    first = file.read_text(encoding="utf-8").splitlines()[0]
    assert first == "# Best configuration of study gammas: trial 1, validation WF1 (%) 62.50."


def test_without_a_complete_trial_there_is_no_best_config(folder: StudyFolder) -> None:
    add_trial(folder, base_params(), [], "failed")
    with pytest.raises(StudyError, match=r"no complete trial yet.*dclf resume gammas"):
        best_config(folder)


@pytest.mark.parametrize(
    "params",
    [
        {"loss.gamma_ca": 0.1, "loss.pairs": "batch"},
        {"data.modalities": ["text", "visual"], "train.workers": [1, 2]},
        {"model.name": "ddin", "model.options.context_width": 60},
        {"loss.terms.json.decoder:JSONDecoder.decode": 0.5},
        {},
    ],
)
def test_the_config_is_the_one_that_trained(params: dict[str, object]) -> None:
    assert trial_config(BASE.to_dict(), params) == apply(BASE, params)


def test_the_base_is_left_alone() -> None:
    sections = yaml.safe_load(yaml.safe_dump({"model": {"options": {"hidden": 9}}}))
    changed = trial_config(sections, {"model.options.hidden": 10})
    assert changed.model.options == {"hidden": 10}
    assert sections["model"]["options"] == {"hidden": 9}
    assert isinstance(changed, Config)
