"""Predictions of real models, trained in this process and recorded in SQLite: sources, runs and what is refused."""

import contextlib
import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cluster.storage import SNAPSHOT
from dclf.config import Config, TrackConfig
from dclf.data import DatasetInfo, Dialogue, read_shards, write_shards
from dclf.data.errors import DataError, MissingModalityError
from dclf.extraction import ExtractionError
from dclf.inference import Predictor, load_model
from dclf.training import checkpoint
from dclf.training.evaluation import score_predictor
from tests.dclf.extraction.hashing import as_own_module, encoder, hashed
from tests.tune.analysis.perturbation.studies import trained_study
from tests.tune.perturbed_runs import MODALITIES, RunStore
from tune.perturbations import target_of_run
from tune.predictions import Predictions, load_predictor, load_run, predict, predict_lines
from tune.runs import evaluate, train
from tune.study.places import StudyError
from tune.tracking.children import SEED_TAG, TRIAL_TAG
from tune.tracking.trouble import TrackingError, UnknownRunError

EXTRACTED = {"text": 24, "audio": 32}
"""Widths of generated data; its rows are of another origin, which is nothing to the model."""

pytestmark = pytest.mark.slow  # torch, MLflow and three trainings, ten seconds in all


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory, empty_store: Path) -> Iterator[RunStore]:
    folder = tmp_path_factory.mktemp("predicted")
    with as_own_module(folder) as own:
        yield RunStore(folder, empty_store, own.facts(folder / "encoder", **EXTRACTED))


@pytest.fixture(scope="module")
def graph(runs: RunStore) -> str:
    return runs.train("mmgcn", "graph")[0]


@pytest.fixture(scope="module")
def predictor(runs: RunStore, graph: str) -> Predictor:
    return load_model(runs.folder / "graph")


@pytest.fixture(scope="module")
def test_dialogues(runs: RunStore) -> list[Dialogue]:
    return list(read_shards(runs.shards, split="test"))


def as_json(dialogue: Dialogue) -> dict[str, Any]:
    """With the model's numbers for speakers."""
    return {
        "id": dialogue.dialogue_id,
        "utterances": [
            {
                "speaker": int(speaker),
                "text": f"words {i}",
                "features": {
                    m: x[i].tolist() if m not in dialogue.present or x[i].any() else None
                    for m, x in dialogue.features.items()
                },
            }
            for i, speaker in enumerate(dialogue.speakers)
        ],
    }


def matrix(predictions: Predictions) -> np.ndarray:
    return predictions.frame()[[f"probability/{name}" for name in predictions.class_names]].to_numpy()


def masked(dialogue: Dialogue) -> Dialogue:
    """The second utterance without audio, the third without anything."""
    present = {m: np.arange(len(dialogue)) != 2 for m in dialogue.features}
    present["audio"][1] = False
    return replace(
        dialogue, present=present, features={m: x * present[m][:, None] for m, x in dialogue.features.items()}
    )


def test_shards_are_predicted_split_by_split(
    runs: RunStore, graph: str, predictor: Predictor, test_dialogues: list[Dialogue]
) -> None:
    done = predict(graph, runs.shards, split="test", uri=runs.uri)
    assert (done.run_id, done.name, done.class_names) == (graph, "graph", predictor.info.class_names)
    assert [one.id for one in done.conversations] == [one.dialogue_id for one in test_dialogues]
    assert {one.split for one in done.conversations} == {"test"}
    assert np.allclose(matrix(done), np.concatenate(predictor.predict(test_dialogues)), atol=1e-6)
    first = done.conversations[0].utterances[0]
    assert first.probability == max(first.probabilities.values()) == first.probabilities[first.emotion]
    assert first.speaker == str(test_dialogues[0].speakers[0])
    everything = predict("graph", Path(runs.shards), uri=runs.uri)
    assert len(everything.conversations) == len(read_shards(runs.shards))


def test_shards_need_no_labels_and_no_classes_of_the_run(
    runs: RunStore, graph: str, test_dialogues: list[Dialogue], tmp_path: Path
) -> None:
    info = read_shards(runs.shards).info
    bare = [masked(replace(d, labels=np.full(len(d), -1, np.int32))) for d in test_dialogues]
    write_shards(bare, tmp_path / "bare", replace(info, class_names=("anything",)))
    done = predict(graph, tmp_path / "bare", uri=runs.uri)
    same = predict(graph, [as_json(d) for d in bare], uri=runs.uri)
    assert np.allclose(matrix(done), matrix(same), atol=1e-6)
    assert not np.allclose(matrix(done), matrix(predict(graph, runs.shards, split="test", uri=runs.uri)), atol=1e-3)


def test_json_says_what_shards_say(runs: RunStore, graph: str, test_dialogues: list[Dialogue], tmp_path: Path) -> None:
    conversations = [as_json(dialogue) for dialogue in test_dialogues]
    (tmp_path / "all.json").write_text(json.dumps(conversations, indent=1))
    predictions = predict(graph, runs.shards, split="test", uri=runs.uri)
    done = predict(graph, tmp_path / "all.json", uri=runs.uri)
    assert [one.id for one in done.conversations] == [one.id for one in predictions.conversations]
    assert [answer.text for answer in done.conversations[0].utterances][:2] == ["words 0", "words 1"]
    assert np.allclose(matrix(done), matrix(predictions), atol=1e-6)
    (tmp_path / "lines").write_text("\n".join(["", *map(json.dumps, conversations[0]["utterances"])]))
    (one,) = predict(graph, str(tmp_path / "lines"), uri=runs.uri).conversations
    assert [answer.emotion for answer in one.utterances] == [
        answer.emotion for answer in predictions.conversations[0].utterances
    ]


def test_names_are_as_good_as_numbers(runs: RunStore, graph: str, test_dialogues: list[Dialogue]) -> None:
    numbered = as_json(test_dialogues[0])
    by_name = json.loads(json.dumps(numbered))
    for utterance in by_name["utterances"]:
        utterance["speaker"] = "MF"[utterance["speaker"]]
        utterance["features"] = {m: np.array(x) for m, x in utterance["features"].items()}
    probabilities = matrix(predict(graph, numbered, uri=runs.uri))
    done = predict(graph, by_name, speakers=["M", "F"], uri=runs.uri)
    assert np.allclose(matrix(done), probabilities, atol=1e-6)
    assert {answer.speaker for answer in done.conversations[0].utterances} == {"M", "F"}
    turned = matrix(predict(graph, by_name, speakers=["F", "M"], uri=runs.uri))
    assert not np.allclose(turned, probabilities, atol=1e-4)


def lines_of(dialogue: Dialogue) -> list[bytes]:
    return [json.dumps(utterance).encode() for utterance in as_json(dialogue)["utterances"]]


def test_lines_are_answered_before_the_next_is_read(
    runs: RunStore, graph: str, predictor: Predictor, test_dialogues: list[Dialogue]
) -> None:
    read: list[int] = []

    def coming() -> Any:
        for number, line in enumerate(lines_of(masked(test_dialogues[0]))):
            read.append(number)
            yield line

    (probabilities,) = predictor.predict([masked(test_dialogues[0])])
    for number, answer in enumerate(predict_lines(load_run(graph, uri=runs.uri), coming())):
        assert read[-1] == number
        assert np.allclose([*answer.probabilities.values()], probabilities[number], atol=1e-6)
    assert len(read) == len(probabilities)


def test_a_bidirectional_model_answers_when_all_is_said(runs: RunStore, test_dialogues: list[Dialogue]) -> None:
    run_id, _ = runs.train("mmgcn", "both", causal=False)
    answers = predict_lines(load_run(run_id, uri=runs.uri), lines_of(test_dialogues[0]))
    (probabilities,) = load_model(runs.folder / "both").predict([test_dialogues[0]])
    assert np.allclose([[*answer.probabilities.values()] for answer in answers], probabilities, atol=1e-6)
    with pytest.raises(ValueError, match="a session needs a causal model"):
        load_predictor("both", uri=runs.uri).session()


def test_a_session_of_a_run(runs: RunStore, graph: str, predictor: Predictor, test_dialogues: list[Dialogue]) -> None:
    session = load_predictor(graph, uri=runs.uri).session()
    one = test_dialogues[0]
    first = session.hear(int(one.speakers[0]), {m: one.features[m][0] for m in MODALITIES})
    assert np.allclose(first, predictor.predict([one])[0][0], atol=1e-6)


def test_mistakes_of_lines_come_together_unless_they_are_answered_one_by_one(
    runs: RunStore, graph: str, test_dialogues: list[Dialogue], tmp_path: Path
) -> None:
    lines = [lines_of(test_dialogues[0])[0], b'{"speaker": 7}', b"{", b"[]"]
    (tmp_path / "talk.jsonl").write_bytes(b"\n".join(lines))
    with pytest.raises(DataError) as error:
        predict(graph, tmp_path / "talk.jsonl", uri=runs.uri)
    assert [problem.split(": ")[0] for problem in error.value.problems] == ["line 2.speaker", "line 3", "line 4"]
    answers = predict_lines(load_run(graph, uri=runs.uri), lines)
    next(answers)
    with pytest.raises(DataError, match=r"1 problem\n.*line 2\.speaker"):
        next(answers)


def test_it_shows_itself_as_a_small_table(runs: RunStore, graph: str, test_dialogues: list[Dialogue]) -> None:
    conversation = as_json(test_dialogues[0])
    conversation["utterances"][0] |= {"text": "so \x1b[31m " + "long " * 20}
    done = predict(graph, conversation, uri=runs.uri)
    lines = repr(done).splitlines()
    assert lines[0] == f"run graph ({graph}): {len(test_dialogues[0])} utterances of 1 conversation"
    assert lines[1].split() == ["conversation", "speaker", "words", "emotion", "probability"]
    assert "so ?[31m long long long long long long …" in lines[2]
    assert len(lines) <= 13
    assert "<table>" in done._repr_html_()
    long = predict(graph, runs.shards, uri=runs.uri)
    assert repr(long).splitlines()[-1] == f"and {len(long.frame()) - 10} more, in conversations"
    assert json.loads(json.dumps(done.to_dict()))["conversations"][0]["utterances"][0]["speaker"] == "0"


def test_a_run_with_nothing_but_its_checkpoint_predicts_without_ray(runs: RunStore, tmp_path: Path) -> None:
    run_id, state = runs.train("mmgcn", "cut", log_model=False)
    place = runs.folder / "checkpoints" / run_id
    checkpoint.save(place / "checkpoint_1", state)
    (place / SNAPSHOT).write_text(json.dumps({"latest_checkpoint_result": {"checkpoint_dir_name": "checkpoint_1"}}))
    code = (
        "import sys; from tune.predictions import predict\n"
        "done = predict(sys.argv[1], sys.argv[2], split='val', uri=sys.argv[3])\n"
        "print(len(done.conversations), 'ray' in sys.modules)"
    )
    words = [sys.executable, "-c", code, run_id, runs.shards, runs.uri]
    done = subprocess.run(words, capture_output=True, text=True, check=True, cwd=tmp_path)
    assert done.stdout.split() == [str(read_shards(runs.shards).splits["val"]), "False"]
    assert not list(tmp_path.iterdir())


def test_a_training_of_a_study_is_a_run_too(runs: RunStore, test_dialogues: list[Dialogue], tmp_path: Path) -> None:
    study = trained_study(runs)
    run_id = study.ledger.trials[1].runs[2].run_id
    runs.client.set_tag(run_id, TRIAL_TAG, "1")
    runs.client.set_tag(run_id, SEED_TAG, "2")
    storage = study.path.parent
    done = predict("parts-1-seed2", runs.shards, split="test", uri=runs.uri, storage=storage)
    best = checkpoint.load(study.checkpoint(1, 2))
    trained = load_predictor(run_id, uri=runs.uri, storage=storage)
    assert trained.extractors.reads() == {"text": "text", "audio": "recording"}
    reference = Predictor(trained.config, info_of(runs), best_model(best))
    assert np.allclose(matrix(done), np.concatenate(reference.predict(test_dialogues)), atol=1e-6)
    scored = evaluate(run_id, uri=runs.uri, shards=runs.shards, storage=storage)
    assert vars(scored) == vars(score_predictor(reference, read_shards(runs.shards), "test"))
    with pytest.raises(TrackingError, match=r"of study 'parts', which goes on as a whole: dclf resume parts"):
        train(replace(Config(), track=TrackConfig(uri=runs.uri)), resume=run_id)
    places = {"shards": runs.shards, "out": tmp_path / "out", "storage": storage}
    assert target_of_run(runs.uri, run_id, **places).run.name == "parts-1-seed2"
    with pytest.raises(StudyError, match=r"run parts-1-seed2 is of study 'parts', whose folder is needed: no study"):
        predict(run_id, runs.shards, uri=runs.uri, storage=tmp_path)
    (study.checkpoint(1, 2) / checkpoint.STATE_FILE).unlink()
    with pytest.raises(StudyError, match=r"has no checkpoint in .*dclf show parts"):
        predict(run_id, runs.shards, uri=runs.uri, storage=storage)


def info_of(runs: RunStore) -> DatasetInfo:
    return read_shards(runs.shards).info


def best_model(state: dict[str, Any]) -> dict[str, Any]:
    best: dict[str, Any] = state["progress"]["best_model"]
    return best


def test_runs_that_are_not_there(runs: RunStore, graph: str) -> None:
    with pytest.raises(UnknownRunError, match="near matches"):
        predict("grap", runs.shards, uri=runs.uri)
    with pytest.raises(TrackingError, match=r"127\.0\.0\.1:9"):
        predict("graph", runs.shards, uri="http://127.0.0.1:9")


def test_shards_that_do_not_fit_are_refused(
    runs: RunStore, graph: str, test_dialogues: list[Dialogue], tmp_path: Path
) -> None:
    info = info_of(runs)
    narrow = [d.only(["text"]) for d in test_dialogues]
    write_shards(narrow, tmp_path / "narrow", replace(info, widths={"text": info.widths["text"]}))
    with pytest.raises(MissingModalityError, match="audio"):
        predict(graph, tmp_path / "narrow", uri=runs.uri)
    with pytest.raises(DataError, match=r"must have dialogues of split val, has \d+ of test"):
        predict(graph, wide(test_dialogues, info, tmp_path / "only-test"), split="val", uri=runs.uri)
    cut = [replace(d, features={m: x[:, :3] for m, x in d.features.items()}) for d in test_dialogues]
    write_shards(cut, tmp_path / "cut", replace(info, widths=dict.fromkeys(info.widths, 3), speaker_count=5))
    with pytest.raises(DataError) as error:
        predict(graph, tmp_path / "cut", uri=runs.uri)
    assert [problem.split(" ")[0] for problem in error.value.problems] == ["text", "audio", "the"]


def wide(dialogues: list[Dialogue], info: DatasetInfo, place: Path) -> Path:
    write_shards(dialogues, place, info)
    return place


def test_what_has_no_meaning_is_refused(runs: RunStore, graph: str, test_dialogues: list[Dialogue]) -> None:
    conversation = as_json(test_dialogues[0])
    with pytest.raises(ValueError, match="split must be left out for JSON"):
        predict(graph, conversation, split="test", uri=runs.uri)
    with pytest.raises(ValueError, match="speakers must be left out for shards"):
        predict(graph, runs.shards, speakers=["M"], uri=runs.uri)
    with pytest.raises(ValueError, match="speakers must be 2 at most"):
        predict(graph, conversation, speakers=["M", "F", "X"], uri=runs.uri)
    with pytest.raises(FileNotFoundError, match=r"nowhere\.json"):
        predict(graph, "nowhere.json", uri=runs.uri)


def test_words_and_recordings_say_what_their_rows_say(
    runs: RunStore, graph: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "talk.wav").write_bytes(b"noise")
    turns = [
        {"speaker": "AB"[i % 2], "text": f"word {i}", "media": "talk.wav", "start": i, "end": i + 0.5} for i in range(5)
    ]
    turns[3] |= {"text": ""}
    turns[4] |= {"media": "gone.wav"}
    rows = [
        {"text": hashed(f"saltyword {i}".encode(), 24), "audio": hashed(f"saltynoise{i}.0-{i}.5".encode(), 32)}
        for i in range(5)
    ]
    del rows[3]["text"], rows[4]["audio"]
    utterances = [{"speaker": turn["speaker"], "features": own} for turn, own in zip(turns, rows, strict=True)]
    probabilities = matrix(predict(graph, {"utterances": utterances}, uri=runs.uri))
    (tmp_path / "talk.json").write_text(json.dumps({"utterances": turns}))
    assert np.allclose(matrix(predict(graph, tmp_path / "talk.json", uri=runs.uri)), probabilities, atol=1e-6)
    assert caplog.messages == [f"utterances[4]: audio features are missing: there is no file {tmp_path / 'gone.wav'}"]
    lines = [json.dumps(turn).encode() for turn in turns]
    (tmp_path / "talk.jsonl").write_bytes(b"\n".join(lines))
    assert np.allclose(matrix(predict(graph, tmp_path / "talk.jsonl", uri=runs.uri)), probabilities, atol=1e-6)
    with contextlib.chdir(tmp_path):
        answers = list(predict_lines(load_run(graph, uri=runs.uri), lines))
    assert np.allclose([[*answer.probabilities.values()] for answer in answers], probabilities, atol=1e-6)


def test_an_encoder_that_was_moved_is_named(runs: RunStore, graph: str, tmp_path: Path) -> None:
    conversation = {"utterances": [{"speaker": "Ann", "text": "hello"}]}
    probabilities = matrix(predict(graph, conversation, uri=runs.uri))
    place = runs.folder / "encoder"
    moved = place.rename(tmp_path / "moved")
    try:
        with pytest.raises(ExtractionError, match=rf"the encoder in {place}, of identity \w+: .*--encoder text=FOLDER"):
            predict(graph, conversation, uri=runs.uri)
        places = {"text": str(moved)}
        assert np.array_equal(matrix(predict(graph, conversation, encoders=places, uri=runs.uri)), probabilities)
        session = load_predictor(graph, encoders=places, uri=runs.uri).session()
        assert np.allclose(session.hear("Ann", text="hello"), probabilities[0], atol=1e-6)
    finally:
        moved.rename(place)
    with pytest.raises(ExtractionError, match="must be the one that made the shards' rows"):
        predict(graph, conversation, encoders={"text": str(encoder(tmp_path / "other", "sweet"))}, uri=runs.uri)


def test_nothing_to_read_is_refused_with_what_to_do(runs: RunStore, graph: str, tmp_path: Path) -> None:
    silent = {"utterances": [{"speaker": "Ann", "text": ""}]}
    with pytest.raises(
        DataError, match=r"must have words for text or a recording for audio, or feature vectors of text \(24 numbers\)"
    ):
        predict(graph, silent, uri=runs.uri)
    (tmp_path / "talk.jsonl").write_text('{"speaker": "Ann", "media": "none.wav"}\n' * 2)
    with pytest.raises(DataError, match=r"talk\.jsonl.*\n.*must have words for text .*has none that can be read"):
        predict(graph, tmp_path / "talk.jsonl", uri=runs.uri)
