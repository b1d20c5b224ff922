"""Perturbation tests of real models: what is stored, what is scored, what the run in MLflow says of it."""

import json
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
import torch
from mlflow.entities import Run

from cluster.storage import SNAPSHOT
from dclf.config import Config
from dclf.data import read_shards
from dclf.inference import load_model
from dclf.metrics import classification_scores
from dclf.perturb import (
    Conversations,
    Corruption,
    Kind,
    read_substitutions,
    score_substituted,
    substitute_context,
    write_substitutions,
)
from dclf.training import checkpoint
from tests.paper_data import write_like_paper
from tests.tune.analysis.perturbation.studies import Watcher
from tests.tune.perturbed_runs import MODALITIES, RunStore
from tune.analysis.perturbation.conditions import Cut, Draw, Raw, conditions
from tune.analysis.perturbation.files import SuiteFolder
from tune.analysis.perturbation.paper import comparable_scores, published_row
from tune.analysis.perturbation.scores import Perturbations
from tune.analysis.perturbation.tables import run_row, substitution_table
from tune.config.settings import load_config
from tune.config.yaml_files import ConfigError
from tune.perturbations import PerturbationSettings, PerturbationTest, RunName, perturb, perturb_model
from tune.tracking.store import TrackingError
from tune.tracking.trouble import UnknownRunError

pytestmark = pytest.mark.slow  # torch, MLflow and two trainings, ten seconds in all

BOTH = PerturbationSettings(draws=3, seed=4)


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory, empty_store: Path) -> RunStore:
    return RunStore(tmp_path_factory.mktemp("perturbed"), empty_store)


@pytest.fixture(scope="module")
def graph(runs: RunStore) -> str:
    return runs.train("mmgcn", "graph")[0]


@pytest.fixture(scope="module")
def recurrent(runs: RunStore) -> str:
    return runs.train("ddin", "recurrent")[0]


@pytest.fixture(scope="module")
def perturbation(runs: RunStore, graph: str) -> PerturbationTest:
    return perturbed(runs, graph)


def perturbed(runs: RunStore, run: str, settings: PerturbationSettings = BOTH) -> PerturbationTest:
    return perturb(run, settings, uri=runs.uri, out=runs.folder / "perturbations")


def recorded(runs: RunStore, run_id: str) -> Run:
    return runs.client.get_run(run_id)


def read_arrow(path: Path) -> pa.Table:
    with pa.OSFile(str(path)) as source:
        return pa.ipc.open_file(source).read_all()


def predictions(table: pa.Table, kind: str, draw: int = 0, share: float | None = None) -> np.ndarray:
    """Of one condition, in the order of the dialogues."""
    field = pa.compute.field
    rows = table.filter((field("kind") == kind) & (field("draw") == draw))
    return np.array((rows if share is None else rows.filter(field("share") == share))["prediction"])


def flat(runs: RunStore, split: str) -> Conversations:
    return Conversations.of(read_shards(runs.shards, split=split), MODALITIES)


def test_the_raw_score_is_the_runs_own(runs: RunStore, graph: str, perturbation: PerturbationTest) -> None:
    assert perturbation.report.raw == pytest.approx(recorded(runs, graph).data.metrics["test/wf1"])


def test_every_model_meets_the_stored_substitutions(
    runs: RunStore, graph: str, recurrent: str, perturbation: PerturbationTest
) -> None:
    files = sorted(perturbation.substitutions.iterdir())
    assert len(files) == 2 * 3
    before = {file: (file.stat().st_mtime_ns, file.read_bytes()) for file in files}
    other = perturbed(runs, recurrent)
    assert {file: (file.stat().st_mtime_ns, file.read_bytes()) for file in other.substitutions.iterdir()} == before
    targets, pool = flat(runs, "test"), flat(runs, "train")
    for name, test in (("graph", perturbation), ("recurrent", other)):
        predictor = load_model(runs.folder / name)
        table = read_arrow(test.results)
        for drawn in map(read_substitutions, files):
            assert drawn.seed == 4
            expected = score_substituted(predictor, targets, pool, drawn)
            np.testing.assert_array_equal(predictions(table, drawn.kind, drawn.draw), expected.predictions)
    assert other.report.to_dict()["conditions"] != perturbation.report.to_dict()["conditions"]


def contents(folder: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in folder.iterdir()}


def test_a_second_call_gives_the_same_and_adds_nothing(
    runs: RunStore, graph: str, perturbation: PerturbationTest
) -> None:
    before, files, watcher = recorded(runs, graph), contents(perturbation.folder), Watcher()
    again = perturb(graph[:8], BOTH, uri=runs.uri, out=runs.folder / "perturbations", listeners=[watcher])
    assert (watcher.total, watcher.scores) == (0, {}), "nothing is computed"
    assert again.results.stat().st_mtime_ns == perturbation.results.stat().st_mtime_ns
    assert again.report.to_dict() == perturbation.report.to_dict()
    assert contents(again.folder) == files
    after = recorded(runs, graph)
    assert (after.info.status, after.info.end_time) == ("FINISHED", before.info.end_time)
    assert after.data.metrics == before.data.metrics
    names = [name for name in after.data.metrics if name.startswith("perturb/")]
    assert {len(runs.client.get_metric_history(graph, name)) for name in names} == {1}
    artifacts = [file.path for file in runs.client.list_artifacts(graph, "perturbations/test")]
    assert sorted(artifacts) == sorted(f"perturbations/test/{file.name}" for file in perturbation.files)
    assert files.keys() == {*(file.name for file in perturbation.files), "test.json", "recorded.json"}


def test_a_run_has_a_page_of_its_own(runs: RunStore, perturbation: PerturbationTest) -> None:
    page = perturbation.page.read_text(encoding="utf-8")
    assert "<h1>Perturbation test of run graph on generated-iemocap-small, test split</h1>" in page
    eics = 100 * perturbation.report.score("eics").wf1
    assert f"{eics:.2f} % under EICS." in page
    assert "One seed per model" in page
    assert "Pale dots: the draws." in page
    assert page.count("<svg") == 1, "no modality was damaged"
    assert not re.search(r'(src|href)="(?!#)', page)


def test_results_per_utterance_give_the_scores_again(runs: RunStore, perturbation: PerturbationTest) -> None:
    table, targets = read_arrow(perturbation.results), flat(runs, "test")
    assert table.num_rows == len(targets.labels) * 3 * 2
    facts = json.loads(table.schema.metadata[b"dclf-perturbation"])
    for kind in ("eccs", "eics"):
        for draw in range(3):
            rows = table.filter(pa.compute.field("kind") == kind).filter(pa.compute.field("draw") == draw)
            np.testing.assert_array_equal(rows["label"], targets.labels)
            np.testing.assert_array_equal(rows["utterance"], targets.time)
            assert rows["dialogue_id"].to_pylist() == [targets.dialogue_ids[n] for n in targets.dialogue_of]
            wf1, raw = (
                classification_scores(rows["label"], rows[name], facts["class_names"])["wf1"]
                for name in ("prediction", "raw_prediction")
            )
            assert wf1 == perturbation.report.score(kind).values[draw]
            assert raw == perturbation.report.raw
            first = np.array(rows["utterance"]) == 0
            np.testing.assert_array_equal(np.array(rows["prediction"])[first], np.array(rows["raw_prediction"])[first])


def test_the_run_in_mlflow_has_means_deviations_and_drops(
    runs: RunStore, graph: str, perturbation: PerturbationTest
) -> None:
    metrics = recorded(runs, graph).data.metrics
    for kind in ("eccs", "eics"):
        values = perturbation.report.score(kind).values
        assert len(values) == metrics[f"perturb/{kind}/draws"] == 3
        assert metrics[f"perturb/{kind}/wf1"] == pytest.approx(np.mean(values))
        assert metrics[f"perturb/{kind}/wf1_std"] == pytest.approx(np.std(values, ddof=1))
        assert metrics[f"perturb/{kind}/drop"] == pytest.approx(perturbation.report.raw - np.mean(values))
    assert metrics["perturb/raw/wf1"] == perturbation.report.raw


def test_another_test_takes_the_place_of_the_first(runs: RunStore, recurrent: str) -> None:
    perturbed(runs, recurrent, replace(BOTH, draws=2, kinds=("eics",)))
    single = perturbed(runs, "recurrent", replace(BOTH, draws=1, kinds=("eics",), seed=9)).report.score("eics")
    metrics = recorded(runs, recurrent).data.metrics
    assert (metrics["perturb/eics/draws"], metrics["perturb/eics/wf1"]) == (1, single.wf1)
    assert np.isnan(metrics["perturb/eics/wf1_std"])


def test_the_validation_split_has_names_of_its_own(runs: RunStore, graph: str, perturbation: PerturbationTest) -> None:
    report = perturbed(runs, graph, PerturbationSettings(draws=1, split="val", kinds=("eccs",))).report
    metrics = recorded(runs, graph).data.metrics
    assert metrics["perturb_val/raw/wf1"] == report.raw == pytest.approx(metrics["best/val_wf1"])
    assert metrics["perturb/raw/wf1"] == perturbation.report.raw
    assert report.utterances == len(flat(runs, "val").labels)


def test_damaged_modalities(runs: RunStore, graph: str) -> None:
    hit = [Corruption(damage="noise", modalities=("audio",), share=share, strength=5.0) for share in (0.1, 0.9)]
    none = Corruption(damage="missing", modalities=("text",), share=0.0)
    test = perturbed(runs, graph, PerturbationSettings(kinds=(), corruptions=(*hit, none)))
    report, table = test.report, read_arrow(test.results)
    assert [score.name for score in report.scores] == ["audio-noise-10", "audio-noise-90", "text-missing-0"]
    assert report.score("text-missing-0").drop == 0
    raw = np.array(table["raw_prediction"])[: report.utterances]
    little, much = (predictions(table, "noise", share=share) for share in (0.1, 0.9))
    assert 0 < (little != raw).mean() < (much != raw).mean()
    assert recorded(runs, graph).data.metrics["perturb/audio-noise-90/wf1"] == report.score("audio-noise-90").wf1
    with pytest.raises(KeyError, match="text-missing-0 were"):
        report.score("eics")


def test_a_bidirectional_model_is_also_scored_up_to_the_target(runs: RunStore) -> None:
    run_id, _ = runs.train("ddin", "both-ways", causal=False)
    test = perturbed(runs, run_id, replace(BOTH, draws=1))
    assert [score.kind for score in test.report.scores] == ["cut", "eccs", "eics"]
    assert (
        "| model | variant | seeds | raw | up to the target | ECCS | EICS |" in (test.folder / "table.md").read_text()
    )
    causal = PerturbationSettings(kinds=("eics",), draws=2)
    assert conditions(causal, causal=True) == [Raw(), Draw("eics", 0), Draw("eics", 1)]
    assert conditions(causal, causal=False)[1] == Cut()


def test_a_run_without_a_logged_model_has_its_checkpoint(runs: RunStore) -> None:
    run_id, state = runs.train("mmgcn", "cut-short", log_model=False)
    settings = PerturbationSettings(draws=1, kinds=("eccs",))
    with pytest.raises(TrackingError, match=r"has no checkpoint at .*; nor has it a model in MLflow"):
        perturbed(runs, run_id, settings)
    folder = runs.folder / "checkpoints" / run_id
    checkpoint.save(folder / "first", state)
    (folder / SNAPSHOT).write_text('{"latest_checkpoint_result": {"checkpoint_dir_name": "first"}}')
    first = perturbed(runs, "cut-short", settings)
    assert first.report.raw == pytest.approx(recorded(runs, run_id).data.metrics["test/wf1"])
    weights = {name: torch.zeros_like(tensor) for name, tensor in state["progress"]["best_model"].items()}
    checkpoint.save(folder / "last", {**state, "progress": {**state["progress"], "best_model": weights}})
    (folder / SNAPSHOT).write_text('{"latest_checkpoint_result": {"checkpoint_dir_name": "last"}}')
    assert perturbed(runs, "cut-short", settings).report.raw < first.report.raw, "a run that went on is scored anew"


@pytest.fixture
def spoilt(runs: RunStore) -> Iterator[Path]:
    """The place of a draw that no other test makes."""
    sha256 = read_shards(runs.shards).manifest.sha256
    folder = SuiteFolder.make(runs.folder / "perturbations", sha256).substitutions
    file = folder / "test-eccs-seed77-draw0.arrow"
    yield file
    file.unlink()


def test_a_stored_draw_that_is_damaged_or_another_is_refused(runs: RunStore, graph: str, spoilt: Path) -> None:
    settings = PerturbationSettings(draws=1, seed=77, kinds=("eccs",))
    spoilt.write_bytes(b"ARROW1")
    with pytest.raises(ValueError, match=r"seed77-draw0\.arrow: cannot be read as substitutions"):
        perturbed(runs, graph, settings)
    targets, pool = flat(runs, "test"), flat(runs, "train")
    kind: Kind
    for kind, seed in (("eccs", 78), ("eics", 77)):
        write_substitutions(substitute_context(targets, pool, kind, seed=seed), spoilt)
        with pytest.raises(ValueError, match="holds another; delete it and it is drawn again"):
            perturbed(runs, graph, settings)


def test_a_folder_that_cannot_be_written_is_named(runs: RunStore, graph: str, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(OSError, match=r"file/.*: must be a folder that can be written.*--out"):
        perturb(graph, uri=runs.uri, out=tmp_path / "file")


def test_the_table_has_one_row(runs: RunStore, graph: str) -> None:
    two_draws = perturbed(runs, graph, replace(BOTH, draws=2))
    score = two_draws.report.score("eics")
    arrow = "↓" if score.drop >= 0 else "↑"
    cell = f"{100 * score.wf1:.2f} ± {100 * score.deviation:.2f} ({arrow}{abs(100 * score.drop):.2f})"
    lines = (two_draws.folder / "table.md").read_text(encoding="utf-8").splitlines()
    assert lines[0].startswith("WF1 (%) of run graph on the test split of generated-iemocap-small (")
    assert lines[-3] == "| model | variant | seeds | raw | ECCS | EICS |"
    assert lines[-1].startswith(f"| mmgcn | base model | 1 | {100 * two_draws.report.raw:.2f} | ")
    assert lines[-1].endswith(f" | {cell} |")
    assert "± is the deviation over draws" in "".join(lines)


def test_a_model_in_memory_is_tested_likewise(runs: RunStore, perturbation: PerturbationTest, tmp_path: Path) -> None:
    test = perturb_model(load_model(runs.folder / "graph"), RunName(id="trial-7", name="seven"), BOTH, out=tmp_path)
    assert test.folder.relative_to(tmp_path).parts[1:] == ("runs", "trial-7", "test")
    assert test.report.to_dict()["conditions"] == perturbation.report.to_dict()["conditions"]


def test_another_model_under_the_same_name_is_scored_anew(runs: RunStore, tmp_path: Path) -> None:
    model, name = load_model(runs.folder / "graph"), RunName(id="trial-8", name="eight")
    settings = PerturbationSettings(draws=1, kinds=("eccs",))
    before = perturb_model(model, name, settings, out=tmp_path).report
    for tensor in model.model.state_dict().values():
        tensor.zero_()
    assert perturb_model(model, name, settings, out=tmp_path).report.raw < before.raw


def test_only_the_papers_data_have_its_numbers_beside_them(runs: RunStore, tmp_path: Path) -> None:
    predictor = load_model(runs.folder / "graph")
    paper = load_config("iemocap", {"data.shards": "x", "loss.ablate": "base"})
    own = str(write_like_paper(tmp_path / "own"))
    assert comparable_scores(paper, own) == pytest.approx({"raw": 0.674, "eccs": 0.637, "eics": 0.533})
    predictor.config = replace(predictor.config, published=paper.published)
    settings, name = PerturbationSettings(draws=1, kinds=("eics",)), RunName(id="trial-9", name="nine")
    test = perturb_model(predictor, name, settings, out=tmp_path / "out")
    scores = Perturbations(kind="run", name="nine", draws=1, trainings=(test.report,), folder=test.folder)
    without, beside = (
        substitution_table(scores, [run_row(scores, config, shards)])
        for config, shards in ((predictor.config, runs.shards), (paper, own))
    )
    assert without is not None
    assert without.head == ("model", "variant", "seeds", "raw", "EICS")
    assert beside is not None
    assert beside.head[-3:] == ("paper raw", "paper ECCS", "paper EICS")
    assert beside.rows[0][-3:] == ("67.40", "63.70 (↓3.70)", "53.30 (↓14.10)")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"kinds": ("eccs", "cut")}, "kinds: must be some of eccs, eics, 'cut' is none"),
        ({"kinds": ("eccs", "eccs")}, "kinds: must be named once each"),
        ({"kinds": ()}, "kinds: must be some of eccs, eics where no modality is corrupted, are none"),
        ({"draws": 0}, "draws: must be 1 or more, is 0"),
        ({"seed": -1}, "seed: must be 0 or more, is -1"),
        ({"split": "train"}, "split: must be one of val, test, is 'train'"),
        ({"corruptions": (Corruption(damage="noise", modalities=("text",), share=0.5),) * 2}, "corruptions: .* once"),
    ],
)
def test_impossible_settings_are_refused(changes: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        perturb("any", replace(BOTH, **changes))  # type: ignore[arg-type]


def test_what_the_run_cannot_do_is_refused(runs: RunStore, graph: str) -> None:
    blind = PerturbationSettings(corruptions=(Corruption(damage="noise", modalities=("visual",), share=0.5),))
    with pytest.raises(ConfigError, match=r"what run graph reads \(text, audio\), name visual"):
        perturbed(runs, graph, blind)
    with pytest.raises(UnknownRunError, match=r"'grph'; near matches:\n.*graph"):
        perturbed(runs, "grph")


@pytest.mark.parametrize(
    ("preset", "ablate", "expected"),
    [
        ("iemocap", "none", {"raw": 0.7207, "eccs": 0.6991, "eics": 0.6626}),
        ("meld-ddin", "base", {"raw": 0.6102, "eccs": 0.5915, "eics": 0.4774}),
        ("iemocap", "no_ica", {}),
    ],
)
def test_published_scores_follow_model_and_ablation(preset: str, ablate: str, expected: dict[str, float]) -> None:
    assert published(load_config(preset, {"data.shards": "x", "loss.ablate": ablate})) == pytest.approx(expected)
    assert published(Config()) == {}


def test_the_older_models_were_published_with_one_modality_and_without_dclf() -> None:
    alone = {"data.shards": "x", "model.name": "aghmn", "loss.ablate": "base", "data.modalities": ["text"]}
    expected = {"raw": 0.591, "eccs": 0.54, "eics": 0.257}
    assert published(load_config("iemocap", alone)) == pytest.approx(expected)
    for change in ({"loss.ablate": "none"}, {"data.modalities": ["text", "audio"]}):
        assert published(load_config("iemocap", {**alone, **change})) == {}


def published(config: Config) -> dict[str, float]:
    return published_row(config.published, config.model.name, config.loss.ablate, config.data.modalities)
