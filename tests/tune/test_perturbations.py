"""Perturbation tests of real models: what is stored, what is scored, what the run in MLflow says of it."""

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
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
from tests.tune.perturbed_runs import MODALITIES, RunStore
from tests.tune.tracking.samples import CARD, CONFIG, final, save_trained
from tests.tune.tracking.server import Server
from tune.analysis.perturbation.data import Cut, Draw, Raw, conditions
from tune.analysis.perturbation.files import SuiteFolder
from tune.analysis.perturbation.published import comparable_scores, published_scores
from tune.analysis.perturbation.tables import tables
from tune.config.settings import load_config
from tune.config.yaml_files import ConfigError
from tune.perturbations import PerturbationSettings, PerturbationTest, RunName, perturb, perturb_model
from tune.tracking.run import RunTracker
from tune.tracking.store import TrackingError, connect
from tune.tracking.trained import trained_model
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
def done(runs: RunStore, graph: str) -> PerturbationTest:
    return perturbed(runs, graph)


def perturbed(runs: RunStore, run: str, settings: PerturbationSettings = BOTH) -> PerturbationTest:
    return perturb(run, settings, uri=runs.uri, out=runs.folder / "perturbations")


def recorded(runs: RunStore, run_id: str) -> Run:
    return runs.client.get_run(run_id)


def read_arrow(path: Path) -> pa.Table:
    with pa.OSFile(str(path)) as source:
        return pa.ipc.open_file(source).read_all()


def flat(runs: RunStore, split: str) -> Conversations:
    return Conversations.of(read_shards(runs.shards, split=split), MODALITIES)


def test_the_raw_score_is_the_runs_own(runs: RunStore, graph: str, done: PerturbationTest) -> None:
    assert done.report.raw == pytest.approx(recorded(runs, graph).data.metrics["test/wf1"])


def test_every_model_meets_the_stored_substitutions(
    runs: RunStore, graph: str, recurrent: str, done: PerturbationTest
) -> None:
    files = sorted(done.substitutions.iterdir())
    assert len(files) == 2 * 3
    before = {file: (file.stat().st_mtime_ns, file.read_bytes()) for file in files}
    other = perturbed(runs, recurrent)
    assert {file: (file.stat().st_mtime_ns, file.read_bytes()) for file in other.substitutions.iterdir()} == before
    targets, pool = flat(runs, "test"), flat(runs, "train")
    for name, test in (("graph", done), ("recurrent", other)):
        predictor = load_model(runs.folder / name)
        by_condition = {(o.condition["kind"], o.condition.get("draw")): o for o in test.report.outcomes}
        for drawn in map(read_substitutions, files):
            assert drawn.seed == 4
            expected = score_substituted(predictor, targets, pool, drawn)
            found = by_condition[drawn.kind, drawn.draw]
            np.testing.assert_array_equal(found.predictions, expected.predictions)
    assert other.report.to_dict()["conditions"] != done.report.to_dict()["conditions"]


def test_a_second_call_gives_the_same_and_adds_nothing(runs: RunStore, graph: str, done: PerturbationTest) -> None:
    before, files = recorded(runs, graph), {file.name: file.read_bytes() for file in done.folder.iterdir()}
    again = perturbed(runs, graph[:8])
    assert again.report.to_dict() == done.report.to_dict()
    assert {file.name: file.read_bytes() for file in again.folder.iterdir()} == files
    after = recorded(runs, graph)
    assert (after.info.status, after.info.end_time) == ("FINISHED", before.info.end_time)
    assert after.data.metrics == before.data.metrics
    names = [name for name in after.data.metrics if name.startswith("perturb/")]
    assert {len(runs.client.get_metric_history(graph, name)) for name in names} == {1}
    artifacts = [file.path for file in runs.client.list_artifacts(graph, "perturbations/test")]
    assert sorted(artifacts) == sorted(f"perturbations/test/{name}" for name in files)


def test_results_per_utterance_give_the_scores_again(runs: RunStore, done: PerturbationTest) -> None:
    table, targets = read_arrow(done.results), flat(runs, "test")
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
            assert wf1 == done.report.score(kind).values[draw]
            assert raw == done.report.raw
            first = np.array(rows["utterance"]) == 0
            np.testing.assert_array_equal(np.array(rows["prediction"])[first], np.array(rows["raw_prediction"])[first])


def test_the_run_in_mlflow_has_means_deviations_and_drops(runs: RunStore, graph: str, done: PerturbationTest) -> None:
    metrics = recorded(runs, graph).data.metrics
    for kind in ("eccs", "eics"):
        values = done.report.score(kind).values
        assert len(values) == metrics[f"perturb/{kind}/draws"] == 3
        assert metrics[f"perturb/{kind}/wf1"] == pytest.approx(np.mean(values))
        assert metrics[f"perturb/{kind}/wf1_std"] == pytest.approx(np.std(values, ddof=1))
        assert metrics[f"perturb/{kind}/drop"] == pytest.approx(done.report.raw - np.mean(values))
    assert metrics["perturb/raw/wf1"] == done.report.raw


def test_another_test_takes_the_place_of_the_first(runs: RunStore, recurrent: str) -> None:
    perturbed(runs, recurrent, replace(BOTH, draws=2, kinds=("eics",)))
    single = perturbed(runs, "recurrent", replace(BOTH, draws=1, kinds=("eics",), seed=9)).report.score("eics")
    metrics = recorded(runs, recurrent).data.metrics
    assert (metrics["perturb/eics/draws"], metrics["perturb/eics/wf1"]) == (1, single.wf1)
    assert np.isnan(metrics["perturb/eics/wf1_std"])


def test_the_validation_split_has_names_of_its_own(runs: RunStore, graph: str, done: PerturbationTest) -> None:
    report = perturbed(runs, graph, PerturbationSettings(draws=1, split="val", kinds=("eccs",))).report
    metrics = recorded(runs, graph).data.metrics
    assert metrics["perturb_val/raw/wf1"] == report.raw == pytest.approx(metrics["best/val_wf1"])
    assert metrics["perturb/raw/wf1"] == done.report.raw
    assert report.utterances == len(flat(runs, "val").labels)


def test_damaged_modalities(runs: RunStore, graph: str) -> None:
    hit = [Corruption(damage="noise", modalities=("audio",), share=share, strength=5.0) for share in (0.1, 0.9)]
    none = Corruption(damage="missing", modalities=("text",), share=0.0)
    report = perturbed(runs, graph, PerturbationSettings(kinds=(), corruptions=(*hit, none))).report
    assert [score.name for score in report.scores] == ["audio-noise-10", "audio-noise-90", "text-missing-0"]
    assert report.score("text-missing-0").drop == 0
    raw, little, much, _ = (outcome.predictions for outcome in report.outcomes)
    assert 0 < (little != raw).mean() < (much != raw).mean()
    assert recorded(runs, graph).data.metrics["perturb/audio-noise-90/wf1"] == report.score("audio-noise-90").wf1
    with pytest.raises(KeyError, match="text-missing-0 were"):
        report.score("eics")


def test_a_bidirectional_model_is_also_scored_up_to_the_target(runs: RunStore) -> None:
    run_id, _ = runs.train("ddin", "both-ways", causal=False)
    test = perturbed(runs, run_id, replace(BOTH, draws=1))
    assert [score.kind for score in test.report.scores] == ["cut", "eccs", "eics"]
    assert "| model | raw | up to the target | ECCS | EICS |" in (test.folder / "table.md").read_text()
    causal = PerturbationSettings(kinds=("eics",), draws=2)
    assert list(conditions(causal, causal=True)) == [Raw(), Draw("eics", 0), Draw("eics", 1)]
    assert list(conditions(causal, causal=False))[1] == Cut()


def test_a_run_without_a_logged_model_has_its_checkpoint(runs: RunStore) -> None:
    run_id, state = runs.train("mmgcn", "cut-short", log_model=False)
    with pytest.raises(TrackingError, match=r"has no checkpoint at .*; nor has it a model in MLflow"):
        trained_model(runs.uri, run_id)
    folder = runs.folder / "checkpoints" / run_id
    checkpoint.save(folder / "last", state)
    (folder / SNAPSHOT).write_text('{"latest_checkpoint_result": {"checkpoint_dir_name": "last"}}')
    record, predictor = trained_model(runs.uri, "cut-short")
    assert record.run_id == run_id
    for name, tensor in predictor.model.state_dict().items():
        assert tensor.equal(state["progress"]["best_model"][name])


@pytest.mark.mlflow
def test_a_servers_model_is_fetched(server: Server, tmp_path: Path) -> None:
    trained = save_trained(tmp_path / "model")
    with RunTracker(connect(server.uri, "dclf"), tmp_path, tell=pytest.fail) as tracker:
        tracker.start(CONFIG, CARD)
        tracker.finish(final(1), trained)
    record, predictor = trained_model(server.uri, tracker.run_id)
    assert record.status == "FINISHED"
    for name, tensor in load_model(trained).model.state_dict().items():
        assert tensor.equal(predictor.model.state_dict()[name])


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


def test_the_papers_row_stands_below_the_models(done: PerturbationTest) -> None:
    published = {"raw": 67.4, "eccs": 63.7, "eics": 68.0, "dataset": "iemocap"}
    (table,) = tables(replace(done.report, published=published))
    assert table.head == ("model", "raw", "ECCS", "EICS")
    assert table.rows[1] == ("published, iemocap", "67.40", "63.70 (↓3.70)", "68.00 (↑0.60)")
    score = done.report.score("eics")
    arrow = "↓" if score.drop >= 0 else "↑"
    cell = f"{100 * score.wf1:.2f} ± {100 * score.deviation:.2f} ({arrow}{abs(100 * score.drop):.2f})"
    assert table.rows[0] == ("mmgcn", f"{100 * done.report.raw:.2f}", table.rows[0][2], cell)


def test_a_model_in_memory_is_tested_likewise(runs: RunStore, done: PerturbationTest, tmp_path: Path) -> None:
    test = perturb_model(load_model(runs.folder / "graph"), RunName(id="trial-7", name="seven"), BOTH, out=tmp_path)
    assert test.folder.relative_to(tmp_path).parts[1:] == ("runs", "trial-7", "test")
    assert test.report.to_dict()["conditions"] == done.report.to_dict()["conditions"]


def test_generated_data_have_no_published_row(runs: RunStore, tmp_path: Path) -> None:
    predictor = load_model(runs.folder / "graph")
    paper = load_config("iemocap", {"data.shards": "x", "loss.ablate": "base"})
    predictor.config = replace(predictor.config, published=paper.published)
    assert published_scores(predictor.config)
    settings = PerturbationSettings(draws=1, kinds=("eccs",))
    test = perturb_model(predictor, RunName(id="trial-8", name="eight"), settings, out=tmp_path / "out")
    assert test.report.published == {}
    (table,) = tables(test.report)
    assert [row[0] for row in table.rows] == ["mmgcn"]
    assert comparable_scores(paper, str(write_like_paper(tmp_path / "own"))) == published_scores(paper)


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
    with pytest.raises(ConfigError, match=r"what the model reads \(text, audio\), name visual"):
        perturbed(runs, graph, blind)
    with pytest.raises(UnknownRunError, match=r"'grph'; near matches:\n.*graph"):
        perturbed(runs, "grph")


@pytest.mark.parametrize(
    ("preset", "ablate", "expected"),
    [
        ("iemocap", "none", {"raw": 72.07, "eccs": 69.91, "eics": 66.26, "dataset": "iemocap"}),
        ("meld-ddin", "base", {"raw": 61.02, "eccs": 59.15, "eics": 47.74, "dataset": "meld"}),
        ("iemocap", "no_ica", {}),
    ],
)
def test_published_scores_follow_model_and_ablation(preset: str, ablate: str, expected: dict[str, object]) -> None:
    assert published_scores(load_config(preset, {"data.shards": "x", "loss.ablate": ablate})) == expected
    assert published_scores(Config()) == {}


def test_the_older_models_were_published_with_one_modality_and_without_dclf() -> None:
    alone = {"data.shards": "x", "model.name": "aghmn", "loss.ablate": "base", "data.modalities": ["text"]}
    expected = {"raw": 59.1, "eccs": 54.0, "eics": 25.7, "dataset": "iemocap"}
    assert published_scores(load_config("iemocap", alone)) == expected
    for change in ({"loss.ablate": "none"}, {"data.modalities": ["text", "audio"]}):
        assert published_scores(load_config("iemocap", {**alone, **change})) == {}
