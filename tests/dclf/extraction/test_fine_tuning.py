"""Fine-tuning learns, from the training split alone, and goes on after a kill as if there had been none."""

import logging
import threading
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from sentence_transformers import SentenceTransformer

from dclf.data import Dialogue
from dclf.extraction import ExtractionError, Utterance, Vector, settings_of
from dclf.extraction.encoders import quiet_transformers
from dclf.extraction.fine_tuning import FineTuningEpoch, FineTuningOptions, fine_tune, training_utterances
from dclf.extraction.text import TextSettings
from tests.dclf.extraction.tiny_encoders import WORDS, write_encoder

OPTIONS = FineTuningOptions(epochs=3, learning_rate=3e-3, batch_size=8, seed=3)


class KilledError(Exception):
    """Stands for the end of a process between two epochs."""


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> TextSettings:
    folder = write_encoder(tmp_path_factory.mktemp("encoders") / "base", layers=2)
    return TextSettings(model=str(folder), pooling="mean").resolve()


def sentences(count: int = 48, seed: int = 0) -> tuple[list[str], list[int]]:
    """Texts of random words, whose class is whether they say ``like`` or ``hate``."""
    random = np.random.default_rng(seed)
    others = [word for word in WORDS if word not in {"like", "hate"}]
    texts, labels = [], []
    for _ in range(count):
        label = int(random.integers(2))
        words = [*random.choice(others, random.integers(1, 6)), ("like", "hate")[label]]
        texts.append(" ".join(random.permutation(words)))
        labels.append(label)
    return texts, labels


TEXTS, LABELS = sentences()


def tuned(base: TextSettings, folder: Path, epochs: list[FineTuningEpoch] | None = None, **values: Any) -> TextSettings:
    arguments = {"texts": TEXTS, "labels": LABELS, "options": OPTIONS, **values}
    heard = None if epochs is None else epochs.append
    return fine_tune(base, arguments["texts"], arguments["labels"], 2, folder, arguments["options"], heard=heard)


@pytest.fixture(scope="module")
def result(base: TextSettings, tmp_path_factory: pytest.TempPathFactory) -> tuple[TextSettings, list[FineTuningEpoch]]:
    epochs: list[FineTuningEpoch] = []
    return tuned(base, tmp_path_factory.mktemp("results") / "tuned", epochs), epochs


class Waiting(logging.Handler):
    """Says when a message has come that somebody waits."""

    def __init__(self) -> None:
        super().__init__()
        self.said = threading.Event()

    def emit(self, record: logging.LogRecord) -> None:
        if "waiting for its end" in record.getMessage():
            self.said.set()


def test_two_at_a_time_fine_tune_once(
    base: TextSettings, result: tuple[TextSettings, list[FineTuningEpoch]], tmp_path: Path
) -> None:
    settings, epochs = result
    waiting, first, second = Waiting(), list[FineTuningEpoch](), list[FineTuningEpoch]()
    logger = logging.getLogger("dclf.extraction.fine_tuning")
    logger.addHandler(waiting)
    logger.setLevel(logging.INFO)
    with ThreadPoolExecutor() as pool:
        others: list[Future[TextSettings]] = []

        def hear(epoch: FineTuningEpoch) -> None:
            first.append(epoch)
            if epoch.number == 1:
                others.append(pool.submit(tuned, base, tmp_path / "tuned", second))
                assert waiting.said.wait(30)

        try:
            mine = fine_tune(base, TEXTS, LABELS, 2, tmp_path / "tuned", OPTIONS, heard=hear)
            assert others[0].result(30) == mine
        finally:
            logger.removeHandler(waiting)
            logger.setLevel(logging.NOTSET)
    assert [epoch.loss for epoch in first] == [epoch.loss for epoch in epochs]
    assert second == []
    assert [path.name for path in tmp_path.iterdir()] == ["tuned"]
    assert mine.fine_tuned == settings.fine_tuned


def rows(settings: TextSettings, texts: Sequence[str]) -> Vector:
    return np.stack([np.asarray(row) for row in settings.load("cpu").rows([Utterance(text=text) for text in texts])])


def separation(settings: TextSettings) -> float:
    """How far the classes' means lie apart in texts it has not seen, in units of the spread within them."""
    texts, labels = sentences(60, seed=9)
    features, classes = rows(settings, texts), np.array(labels)
    first, second = features[classes == 0], features[classes == 1]
    return float(np.linalg.norm(first.mean(0) - second.mean(0)) / (first.std(0) + second.std(0)).mean())


class TestResult:
    def test_something_is_learnt(self, tmp_path: Path) -> None:
        folder = write_encoder(tmp_path / "base", layers=2, dropout=0.0)
        base = TextSettings(model=str(folder), pooling="mean").resolve()
        epochs: list[FineTuningEpoch] = []
        options = FineTuningOptions(epochs=4, learning_rate=1e-2, batch_size=8)
        texts, labels = sentences(200)
        settings = tuned(base, tmp_path / "tuned", epochs, texts=texts, labels=labels, options=options)
        assert [(epoch.number, epoch.epochs) for epoch in epochs] == [(number, 4) for number in range(1, 5)]
        assert epochs[-1].loss < 0.5 * epochs[0].loss
        assert separation(settings) > 2 * separation(base)

    def test_the_facts_say_what_it_is(
        self, base: TextSettings, result: tuple[TextSettings, list[FineTuningEpoch]]
    ) -> None:
        settings, _ = result
        facts = settings.facts()["fine_tuned"]
        assert facts["base_model"] == base.model
        assert facts["base_identity"] == base.identity != settings.identity
        assert facts["data"] == "training split only"
        assert (facts["utterances"], facts["epochs"], facts["learning_rate"], facts["seed"]) == (48, 3, 3e-3, 3)
        assert settings_of(settings.facts()) == settings
        # Whoever names the folder later says as much.
        assert TextSettings(model=settings.model).resolve() == settings

    def test_others_open_it(self, result: tuple[TextSettings, list[FineTuningEpoch]]) -> None:
        settings, _ = result
        with quiet_transformers():
            theirs = SentenceTransformer(settings.model, device="cpu").encode(TEXTS[:5])
        np.testing.assert_allclose(rows(settings, TEXTS[:5]), theirs, atol=1e-5)

    @pytest.mark.parametrize("pooling", ["own", "last4"])
    def test_the_pooling_stays(self, tmp_path: Path, pooling: str) -> None:
        base = TextSettings(model=str(write_encoder(tmp_path / "base", layers=4)), pooling=pooling).resolve()
        options = FineTuningOptions(epochs=1, learning_rate=1e-9, batch_size=4)
        settings = tuned(base, tmp_path / "tuned", texts=TEXTS[:8], labels=LABELS[:8], options=options)
        np.testing.assert_allclose(rows(settings, TEXTS[:5]), rows(base, TEXTS[:5]), atol=1e-4)
        assert not (tmp_path / "tuned.part").exists()


class TestGoingOn:
    def test_after_a_kill_with_the_same_bits(
        self, base: TextSettings, result: tuple[TextSettings, list[FineTuningEpoch]], tmp_path: Path
    ) -> None:
        whole, whole_epochs = result

        def killed(epoch: FineTuningEpoch) -> None:
            raise KilledError

        with pytest.raises(KilledError):
            fine_tune(base, TEXTS, LABELS, 2, tmp_path / "tuned", OPTIONS, heard=killed)
        assert not (tmp_path / "tuned").exists()
        torch.manual_seed(77)  # what else a process has drawn does not matter
        epochs: list[FineTuningEpoch] = []
        settings = tuned(base, tmp_path / "tuned", epochs)
        assert [(e.number, e.loss) for e in epochs] == [(e.number, e.loss) for e in whole_epochs[1:]]
        weights = [(Path(one.model) / "model.safetensors").read_bytes() for one in (settings, whole)]
        assert weights[0] == weights[1]
        assert (settings.identity, settings.fingerprint()) == (whole.identity, whole.fingerprint())

    def test_what_is_finished_is_taken(self, base: TextSettings, result: tuple[TextSettings, object]) -> None:
        settings, _ = result
        epochs: list[FineTuningEpoch] = []
        assert tuned(base, Path(settings.model), epochs) == settings
        assert epochs == []

    def test_what_a_kill_left_beside_the_result_goes(
        self, base: TextSettings, result: tuple[TextSettings, object]
    ) -> None:
        settings, _ = result
        part = Path(f"{settings.model}.part")
        part.mkdir()
        (part / "state.pt").write_bytes(b"of the last epoch")
        assert tuned(base, Path(settings.model)) == settings
        assert [path.name for path in part.parent.iterdir()] == ["tuned"]

    def test_a_beginning_of_something_else_is_not(self, base: TextSettings, tmp_path: Path) -> None:
        options = FineTuningOptions(epochs=2, batch_size=32)

        def killed(epoch: FineTuningEpoch) -> None:
            raise KilledError

        with pytest.raises(KilledError):
            fine_tune(base, TEXTS, [1 - label for label in LABELS], 2, tmp_path / "tuned", options, heard=killed)
        epochs: list[FineTuningEpoch] = []
        settings = tuned(base, tmp_path / "tuned", epochs, options=options)
        assert [epoch.number for epoch in epochs] == [1, 2]
        assert settings.identity == tuned(base, tmp_path / "straight", options=options).identity

    def test_a_folder_with_something_else_is_refused(
        self, base: TextSettings, result: tuple[TextSettings, object], tmp_path: Path
    ) -> None:
        settings, _ = result
        (tmp_path / "notes.txt").touch()
        other = FineTuningOptions(epochs=3, learning_rate=3e-3, batch_size=8, seed=4)
        for folder, options in ((tmp_path, OPTIONS), (Path(settings.model), other)):
            with pytest.raises(ExtractionError, match="must be empty, or hold the result of this very fine-tuning"):
                tuned(base, folder, options=options)

    def test_the_random_state_outside_stays(self, base: TextSettings, tmp_path: Path) -> None:
        before = torch.get_rng_state()
        tuned(base, tmp_path / "tuned", options=FineTuningOptions(epochs=1, batch_size=32))
        assert torch.equal(before, torch.get_rng_state())


def dialogue(number: int, split: str, texts: Sequence[str], labels: Sequence[int]) -> Dialogue:
    return Dialogue(
        dialogue_id=f"d{number}",
        split=split,
        speakers=np.zeros(len(labels), dtype=np.int32),
        labels=np.array(labels, dtype=np.int32),
        features={},
        utterances=tuple(texts),
    )


class TestWhatIsSeen:
    def test_the_labelled_words_of_the_training_split(self) -> None:
        dialogues = [
            dialogue(0, "train", ["oh", "no", " "], [1, -1, 0]),
            dialogue(1, "val", ["yes"], [0]),
            dialogue(2, "test", ["well"], [1]),
            dialogue(3, "train", ["what"], [0]),
            dialogue(4, "train", [], [0]),
        ]
        assert training_utterances(dialogues) == (["oh", "what"], [1, 0])

    def test_nothing_else_matters(self, base: TextSettings, tmp_path: Path) -> None:
        options = FineTuningOptions(epochs=1, learning_rate=1e-3, batch_size=8)
        train = dialogue(0, "train", TEXTS, LABELS)
        identities = set()
        for place, label in enumerate((0, 1)):
            others = [dialogue(1, "val", ["oh", f"no {label}"], [label, 0]), dialogue(2, "test", ["yes"], [label])]
            texts, labels = training_utterances([others[0], train, others[1]])
            settings = tuned(base, tmp_path / f"r{place}", texts=texts, labels=labels, options=options)
            identities.add(settings.identity)
        unlabelled = tuned(base, tmp_path / "r2", texts=[*TEXTS, "oh", ""], labels=[*LABELS, -1, 1], options=options)
        flipped = [1 - LABELS[0], *LABELS[1:]]
        other = tuned(base, tmp_path / "r3", labels=flipped, options=options)
        assert identities == {unlabelled.identity}
        assert other.identity not in identities

    @pytest.mark.parametrize(
        ("values", "reason"),
        [
            ({"labels": LABELS[1:]}, "needs a label for each text, has 47 for 48"),
            ({"labels": [2, *LABELS[1:]]}, "labels must be 0 to 1, or -1 for none; there is 2"),
            ({"labels": [-1] * 48}, "needs labelled utterances with words in the training split, there are none"),
            (
                {"options": FineTuningOptions(epochs=0, batch_size=0)},
                "epochs of a fine-tuning must be 1 or more, is 0\n",
            ),
            ({"options": FineTuningOptions(epochs=1, learning_rate=0.0)}, "must be above 0, is 0"),
            ({"options": FineTuningOptions(epochs=2, learning_rate=1e30)}, "loss of epoch . is not finite; lower the"),
        ],
    )
    def test_what_cannot_be(self, base: TextSettings, tmp_path: Path, values: dict[str, Any], reason: str) -> None:
        with pytest.raises(ExtractionError, match=reason):
            tuned(base, tmp_path / "tuned", **values)
        assert not (tmp_path / "tuned").exists()

    def test_unresolved_settings_are_refused(self, base: TextSettings, tmp_path: Path) -> None:
        with pytest.raises(ExtractionError, match=r"call resolve\(\) first"):
            tuned(TextSettings(model=base.model), tmp_path / "tuned")
