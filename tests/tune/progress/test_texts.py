from pathlib import Path

import pytest

from dclf.config import Config, DataConfig, LossConfig
from dclf.training.reports import FinalReport
from tests.tune.commands.studies import study_folder
from tests.tune.study.samples import add_trial
from tune.config.sweep_settings import SweepSettings
from tune.progress.state import StudyState
from tune.progress.texts import (
    params_text,
    progress_text,
    run_headline,
    score_lines,
    study_headline,
    values_text,
)
from tune.study.definition import StudyDefinition
from tune.study.events import TrialChanged
from tune.study.folder import StudyFolder
from tune.study.progress import progress_of
from tune.study.scores import Score


def test_score_columns_line_up(final: FinalReport) -> None:
    assert len({len(line) for line in score_lines(final)}) == 1


@pytest.mark.parametrize(
    ("ablate", "text"), [("none", "with DCLF on"), ("base", "without DCLF on"), ("no_ica", "with DCLF, no_ica on")]
)
def test_the_headline_says_what_is_trained(ablate: str, text: str) -> None:
    config = Config(data=DataConfig(shards="x"), loss=LossConfig(ablate=ablate))  # type: ignore[arg-type]
    assert text in run_headline(config, "bold", "3f2a")


def test_the_headline_names_all_models_that_are_searched(tmp_path: Path) -> None:
    settings = SweepSettings(trials=4, storage=str(tmp_path))
    space = {"model.name": {"choices": ["mmgcn", "ddin"]}}
    definition = StudyDefinition(name="both", config=Config().to_dict(), settings=settings.to_dict(), space=space)
    assert "by tpe and asha, mmgcn, ddin on" in study_headline(StudyFolder.create(tmp_path, definition), "3f2a")


def test_the_headline_leaves_out_what_is_not_there(tmp_path: Path) -> None:
    folder = study_folder(tmp_path, trials=0, scheduler="none", sampler="gp")
    assert study_headline(folder, "3f2a") == "study gammas: 1h by gp, mmgcn on shards/demo, run 3f2a"


def test_how_far_a_study_is_reads_the_same_while_it_runs_and_from_its_folder(tmp_path: Path) -> None:
    for storage, trials, text in ((tmp_path / "counted", 2, "1 of 2 trials"), (tmp_path / "timed", 0, "1 trials")):
        folder, state = study_folder(storage, trials=trials), StudyState()
        state.settings = folder.definition.sweep
        state.update(TrialChanged(add_trial(folder, {}, [[0.5]])))
        assert progress_text(state) == progress_text(progress_of(folder)) == text


def test_values_and_parameters_as_text() -> None:
    scores = (Score(name="wf1"), Score(name="wa"))
    assert values_text(scores, (0.625, 0.7)) == "62.50, wa 70.00"
    assert values_text(scores, ()) == "–"
    assert params_text({"loss.gamma_ca": 0.61234567, "data.modalities": ["text", "audio"]}) == (
        "gamma_ca 0.6123  modalities text + audio"
    )
    assert params_text({}) == "as configured"
