"""An encoder of words learns emotions from the training split before its rows are extracted.

A linear layer on the pooled row classifies, and cross-entropy trains both. Only labelled utterances of the training
split come in: whatever is chosen by looking at others, such as the best epoch, would let the rows know of them, so that
the given number of epochs is trained and that is all.

Every finished epoch is on disk beside the folder of the result. What goes on after a kill ends with the same bits on
the CPU: order and dropout of an epoch are functions of the seed and the epoch's number.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import logging
import math
import shutil
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from dclf.data.dialogue import UNLABELLED
from dclf.extraction.contract import ExtractionError
from dclf.extraction.encoders import quiet_transformers
from dclf.extraction.pooling import write_pooling
from dclf.extraction.text import FINE_TUNING, FineTuned, TextSettings, write_fine_tuned

if TYPE_CHECKING:
    from dclf.extraction.fine_tuning_loop import FineTuning
    from dclf.extraction.text_encoder import TextEncoder

_log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class FineTuningOptions:
    """How an encoder is fine-tuned.

    Attributes:
        epochs: passes over the utterances.
        learning_rate: highest; it rises over the first tenth of the steps and falls to zero over the others.
        batch_size: utterances of a step.
        seed: of order, dropout and the layer that classifies.
    """

    epochs: int
    learning_rate: float = 2e-5
    batch_size: int = 16
    seed: int = 0

    def problems(self) -> list[str]:
        """Every impossible value, each one line."""
        problems = [
            f"{name} of a fine-tuning must be 1 or more, is {value}"
            for name, value in (("epochs", self.epochs), ("batch_size", self.batch_size))
            if value < 1
        ]
        if not (math.isfinite(self.learning_rate) and self.learning_rate > 0):
            problems.append(f"learning_rate of a fine-tuning must be above 0, is {self.learning_rate}")
        return problems


@dataclass(frozen=True)
class FineTuningEpoch:
    """What is said of a finished epoch.

    Attributes:
        number: from 1 on.
        epochs: of the whole fine-tuning.
        loss: mean cross-entropy over its utterances, in nats.
        seconds: that it took.
    """

    number: int
    epochs: int
    loss: float
    seconds: float


class Transcribable(Protocol):
    """A dialogue, or a conversation that has no features yet."""

    @property
    def split(self) -> str:
        """Train, val or test."""
        ...

    @property
    def labels(self) -> NDArray[np.int32]:
        """[n], -1 where there is none."""
        ...

    @property
    def utterances(self) -> tuple[str, ...]:
        """N transcripts, or none."""
        ...


def training_utterances(dialogues: Iterable[Transcribable]) -> tuple[list[str], list[int]]:
    """Words and labels of the training split, as far as utterances have both; of other splits nothing is taken."""
    pairs = [
        (words, int(label))
        for dialogue in dialogues
        if dialogue.split == "train"
        for words, label in zip(dialogue.utterances, dialogue.labels, strict=bool(dialogue.utterances))
        if _counts(words, int(label))
    ]
    return [words for words, _ in pairs], [label for _, label in pairs]


def fine_tune(
    settings: TextSettings,
    texts: Sequence[str],
    labels: Sequence[int],
    class_count: int,
    folder: Path,
    options: FineTuningOptions,
    *,
    device: str = "cpu",
    heard: Callable[[FineTuningEpoch], None] | None = None,
) -> TextSettings:
    """Fine-tune an encoder, or go on with what was begun, or take what is finished.

    Where another process fine-tunes into the same folder, its end is waited for.

    Args:
        settings: of the encoder to start from, resolved.
        texts: utterances of the training split.
        labels: of each, 0 .. class_count - 1; ``UNLABELLED`` and texts without words take no part.
        class_count: number of emotions.
        folder: for the result; what is unfinished lies beside it, under the same name and ``.part``, as large as three
            times the encoder, and for a moment after each epoch as six.
        options: how.
        device: as torch names it.
        heard: is told of every epoch that is trained now.

    Returns:
        Resolved settings that extract with the result, and say in their facts what it is.

    Raises:
        ExtractionError: values are impossible, the encoder cannot be opened, the loss is not finite, or the folder
            holds something else.
        OSError: nothing can be written there.
    """
    if problems := options.problems():
        raise ExtractionError("\n".join(problems))
    if not settings.identity:
        raise ExtractionError("fine-tuning starts from resolved settings: call resolve() first")
    pairs = _pairs(texts, labels, class_count)
    facts = FineTuned(
        base_model=settings.model,
        base_revision=settings.revision,
        base_identity=settings.identity,
        pooling=settings.pooling,
        max_tokens=settings.max_tokens,
        utterances=len(pairs),
        classes=class_count,
        sha256=hashlib.sha256(json.dumps(pairs).encode()).hexdigest(),
        **asdict(options),
    )
    part = folder.with_name(f"{folder.name}.part")
    if not _finished(folder, facts) or part.exists():  # the latter after a kill between the result and the end
        with _alone(folder):
            if not _finished(folder, facts):  # another process may have been at it
                _train(settings, facts, pairs, folder, part, device, heard or (lambda _: None))
            shutil.rmtree(part, ignore_errors=True)
    pooling = "last4" if settings.pooling == "last4" else "own"
    tuned = replace(settings, model=str(folder), revision="", pooling=pooling, identity="", fine_tuned=None)
    return tuned.resolve()


def _counts(words: str, label: int) -> bool:
    return label != UNLABELLED and bool(words.strip())


def _pairs(texts: Sequence[str], labels: Sequence[int], class_count: int) -> list[tuple[str, int]]:
    """What is learnt from; ExtractionError where there is nothing, or labels are impossible."""
    if len(texts) != len(labels):
        raise ExtractionError(f"fine-tuning needs a label for each text, has {len(labels)} for {len(texts)}")
    pairs = [(words, int(label)) for words, label in zip(texts, labels, strict=True) if _counts(words, int(label))]
    if wrong := sorted({label for _, label in pairs} - set(range(class_count))):
        raise ExtractionError(f"labels must be 0 to {class_count - 1}, or {UNLABELLED} for none; there is {wrong[0]}")
    if not pairs:
        raise ExtractionError("fine-tuning needs labelled utterances with words in the training split, there are none")
    return pairs


def _finished(folder: Path, facts: FineTuned) -> bool:
    """Whether the folder holds this very result; ExtractionError where it holds something else."""
    if not folder.exists() or (folder.is_dir() and not any(folder.iterdir())):
        return False
    try:
        content = json.loads((folder / FINE_TUNING).read_text(encoding="utf-8"))
        if FineTuned.from_facts(content).same_as(facts):
            return True
    except (OSError, ValueError):
        pass
    raise ExtractionError(
        f"{folder} must be empty, or hold the result of this very fine-tuning: it holds something else; choose another "
        "folder, or remove it"
    )


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Be the one process that fine-tunes into a folder, as soon as no other one does.

    The lock is a file beside the folder, which stays where the block fails: another process may wait for it.
    """
    path = folder.with_name(f"{folder.name}.lock")
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            _log.info("another process fine-tunes into %s; waiting for its end", folder)
            fcntl.flock(file, fcntl.LOCK_EX)
        except OSError as error:
            _log.warning(
                "%s: nothing keeps a second process from fine-tuning here, as there are no locks (%s)", path, error
            )
        yield
        path.unlink(missing_ok=True)


def _train(
    settings: TextSettings,
    facts: FineTuned,
    pairs: Sequence[tuple[str, int]],
    folder: Path,
    part: Path,
    device: str,
    heard: Callable[[FineTuningEpoch], None],
) -> None:
    import torch  # noqa: PLC0415 - who only plans need not wait for it

    from dclf.extraction.fine_tuning_loop import FineTuning  # noqa: PLC0415

    with torch.random.fork_rng(devices=[device] if device.startswith("cuda") else []):
        torch.manual_seed(facts.seed)
        work = FineTuning(settings.load(device), facts, pairs)
        for epoch in _epochs(work, part, facts):
            heard(epoch)
    _write_result(work.encoder, facts, part / "result")
    (part / "result").replace(folder)


def _epochs(work: FineTuning, part: Path, facts: FineTuned) -> Iterator[FineTuningEpoch]:
    """Train the epochs that are not on disk, each of which is there before it is told."""
    from dclf.training.checkpoint import load, save  # noqa: PLC0415 - see _train

    state = _state(part, facts, load)
    if state is not None:
        work.load_state(state["work"])
    for number in range(1 if state is None else state["epoch"] + 1, facts.epochs + 1):
        started = time.perf_counter()
        loss = work.epoch(number)
        if not math.isfinite(loss):
            raise ExtractionError(f"the loss of epoch {number} is not finite; lower the learning rate")
        save(part, {"epoch": number, "of": asdict(facts), "work": work.state()})
        yield FineTuningEpoch(number, facts.epochs, loss, time.perf_counter() - started)


def _state(part: Path, facts: FineTuned, load: Callable[[Path], dict[str, Any]]) -> dict[str, Any] | None:
    """What was finished of this very fine-tuning; None where it has to begin."""
    try:
        state = load(part)
    except OSError:  # none, or one that cannot be read: it costs the epochs it had
        return None
    return state if FineTuned.from_facts(state["of"]).same_as(facts) else None


def _write_result(encoder: TextEncoder, facts: FineTuned, folder: Path) -> None:
    """The encoder as transformers and sentence-transformers open it, and how it came to be."""
    shutil.rmtree(folder, ignore_errors=True)
    with quiet_transformers():
        encoder.model.save_pretrained(folder)
        encoder.tokenizer.save_pretrained(folder)
    write_pooling(folder, encoder.pooling, encoder.width, encoder.max_tokens, lower_case=encoder.lower_case)
    write_fine_tuned(folder, facts)
