"""Optuna's journal: what is written together is what is written one by one, in fewer writes."""

from pathlib import Path
from typing import Any

import optuna
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from optuna.trial import TrialState

from tune.runner.journal import Journal

optuna.logging.set_verbosity(optuna.logging.ERROR)


def writes(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Entries of each write to a journal."""
    found: list[int] = []
    append = JournalFileBackend.append_logs

    def counting(self: JournalFileBackend, logs: list[dict[str, Any]]) -> None:
        found.append(len(logs))
        append(self, logs)

    monkeypatch.setattr(JournalFileBackend, "append_logs", counting)
    return found


def run_trial(study: optuna.Study, journal: Journal | None, epochs: int, end: str) -> None:
    """One trial, its beginning and its epochs together where there is a journal that can."""
    if journal is None:
        trial = begun(study)
        report(trial, epochs)
    else:
        with journal.together():
            trial = begun(study)
        with journal.together():
            report(trial, epochs)
    if end:
        study.tell(trial, 0.5 if end == "COMPLETE" else None, state=TrialState[end])


def begun(study: optuna.Study) -> optuna.Trial:
    trial = study.ask()
    trial.suggest_float("gamma", 0, 1)
    trial.suggest_int("window", 1, 10)
    return trial


def report(trial: optuna.Trial, epochs: int) -> None:
    for epoch in range(epochs):
        trial.report(epoch / 10, epoch)
    trial.should_prune()


def content(study: optuna.Study) -> list[tuple[Any, ...]]:
    return [(t.number, t.state, t.params, t.values, t.intermediate_values) for t in study.get_trials()]


def study_in(storage: optuna.storages.BaseStorage) -> optuna.Study:
    sampler = optuna.samplers.TPESampler(seed=0, n_startup_trials=2)
    return optuna.create_study(storage=storage, study_name="s", sampler=sampler, load_if_exists=True)


@settings(max_examples=20, deadline=None)
@given(trials=st.lists(st.tuples(st.integers(0, 4), st.sampled_from(["COMPLETE", "PRUNED", "FAIL", ""])), max_size=6))
def test_a_study_written_together_is_the_study_written_one_by_one(
    tmp_path_factory: pytest.TempPathFactory, trials: list[tuple[int, str]]
) -> None:
    folder = tmp_path_factory.mktemp("journal")
    journal = Journal(str(folder / "together"))
    one = study_in(journal)
    other = study_in(JournalStorage(JournalFileBackend(str(folder / "one-by-one"))))
    for epochs, end in trials:
        run_trial(one, journal, epochs, end)
        run_trial(other, None, epochs, end)
    assert content(one) == content(other)
    # And so it is for whoever reads the file, and for a driver that goes on with it.
    assert content(study_in(JournalStorage(JournalFileBackend(str(folder / "together"))))) == content(one)
    reopened = Journal(str(folder / "together"))
    again = study_in(reopened)
    run_trial(again, reopened, 1, "COMPLETE")
    assert content(again)[:-1] == content(one)[: len(trials)]


def test_what_belongs_together_is_one_write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    journal = Journal(str(tmp_path / "journal"))
    study = study_in(journal)
    found = writes(monkeypatch)
    run_trial(study, journal, 10, "COMPLETE")
    assert found == [3, 10, 1]


def test_nothing_to_write_writes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    journal = Journal(str(tmp_path / "journal"))
    found = writes(monkeypatch)
    with journal.together():
        pass
    assert found == []


def test_what_was_said_before_an_interrupt_is_kept(tmp_path: Path) -> None:
    journal = Journal(str(tmp_path / "journal"))
    study = study_in(journal)

    def interrupted() -> None:
        with journal.together():
            begun(study)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert [set(trial.params) for trial in study_in(Journal(str(tmp_path / "journal"))).trials] == [{"gamma", "window"}]


def test_what_others_have_written_before_is_seen(tmp_path: Path) -> None:
    journal = Journal(str(tmp_path / "journal"))
    study = study_in(journal)
    run_trial(study_in(Journal(str(tmp_path / "journal"))), None, 2, "COMPLETE")
    run_trial(study, journal, 3, "COMPLETE")
    assert [trial.number for trial in study.trials] == [0, 1]
    assert content(study) == content(study_in(Journal(str(tmp_path / "journal"))))


def test_no_entry_is_read_twice(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A journal of a long study has a hundred thousand lines."""
    journal = Journal(str(tmp_path / "journal"))
    study = study_in(journal)
    for _ in range(20):
        run_trial(study, journal, 5, "COMPLETE")
    read: list[int] = []
    read_logs = JournalFileBackend.read_logs

    def counting(self: JournalFileBackend, first: int) -> Any:
        for entry in read_logs(self, first):
            read.append(1)
            yield entry

    monkeypatch.setattr(JournalFileBackend, "read_logs", counting)
    written = writes(monkeypatch)
    run_trial(study, journal, 5, "COMPLETE")
    assert len(read) == sum(written)
