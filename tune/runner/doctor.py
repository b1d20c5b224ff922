"""Compares what remembers a study, its ledger, MLflow and the checkpoints, and mends what does not agree."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from dclf.data.storage import is_remote
from tune.runner.doctor_files import file_findings, restarts
from tune.runner.finding import Finding, apply_fixes
from tune.runner.parent_findings import parent_findings
from tune.runner.replay import require_parent
from tune.runner.run_findings import RunFindings, recorded_runs
from tune.study.folder import StudyFolder, read_definition
from tune.study.parent import noted_store
from tune.study.places import StudyError, study_names, study_path
from tune.study.progress import worker_of
from tune.tracking.redact import without_secrets
from tune.tracking.store import (
    Store,
    TrackingError,
    connect,
    mend_move,
    move_problem,
    resolve_tracking_uri,
    sqlite_path,
)


@dataclass(frozen=True, kw_only=True)
class Diagnosis:
    """What the doctor found on one study.

    Attributes:
        name: of the study.
        worker: the process that works on it; empty where none does. What is found then may be on its way.
        repairs: what did not agree and does now.
        findings: what does not agree, or cannot be mended.
        notes: what the user should know, though nothing is wrong.
        unchecked: what could not be looked at, and why.
        readable: whether anything of it could be.
    """

    name: str
    worker: str = ""
    repairs: list[Finding] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    unchecked: list[str] = field(default_factory=list)
    readable: bool = True

    @property
    def agrees(self) -> bool:
        """Whether nothing is left."""
        return not self.findings and not self.unchecked


class Doctor:
    """Looks at studies of one storage; connects to each MLflow store once.

    Args:
        storage: folder of studies.
        uri: an MLflow store, of studies that were recorded in it or nowhere; empty for the one that each study's own
            configuration names.
        insist: take it for studies that were recorded elsewhere too: a server may have another address now.
    """

    def __init__(self, storage: Path | str, uri: str = "", *, insist: bool = False) -> None:
        self._storage = storage
        self._uri = uri
        self._insist = insist
        self._stores: dict[tuple[str, str], Store | TrackingError] = {}

    def names(self) -> list[str]:
        """All studies of the storage."""
        return study_names(self._storage)

    def stores(self) -> list[str]:
        """The MLflow store that is named, or that of the present folder, and those of the local studies."""
        uris = [resolve_tracking_uri(self._uri)]
        for name in [] if is_remote(str(self._storage)) else self.names():
            with suppress(ValueError, OSError):  # told where the study is looked at
                definition = read_definition(study_path(self._storage, name))
                uris.append(resolve_tracking_uri(definition.base.track.uri))
        return list(dict.fromkeys(uris))

    def look(self, name: str) -> Diagnosis:
        """Compare, and change nothing.

        Raises:
            StudyError: there is no such study.
            LedgerError: its ledger cannot be read.
        """
        return self._look(name, worker_of(StudyFolder.open(self._storage, name)))

    def mend(self, name: str) -> Diagnosis:
        """Compare, mend what can be mended, and compare again; while a driver works on the study, compare only.

        Raises:
            StudyError: there is no such study.
            LedgerError: its ledger cannot be read.
        """
        folder = StudyFolder.open(self._storage, name)
        with ExitStack() as stack:
            try:
                stack.enter_context(folder.locked())
            except StudyError:
                return self._look(name, worker_of(folder) or "this process")
            before = self._look(name, "")
            repairs, remaining = apply_fixes(before.findings)
            return self._again(name, repairs, remaining) if repairs or remaining else before

    def _again(self, name: str, repairs: list[Finding], remaining: list[Finding]) -> Diagnosis:
        """What is left after mending; the reason why it could not be mended is kept."""
        after = self._look(name, "")
        reasons = {(finding.subject, finding.problem): finding for finding in remaining}
        findings = [reasons.get((finding.subject, finding.problem), finding) for finding in after.findings]
        return Diagnosis(name=name, repairs=repairs, findings=findings, notes=after.notes, unchecked=after.unchecked)

    def _look(self, name: str, worker: str) -> Diagnosis:
        findings: list[Finding] = []
        unchecked: list[str] = []
        folder = StudyFolder.open(self._storage, name)
        for part in (self._mlflow, file_findings):
            try:
                findings += part(folder, alive=bool(worker))
            except (TrackingError, StudyError) as error:
                unchecked.append(str(error))
        notes = list(restarts(folder))
        return Diagnosis(name=name, worker=worker, findings=findings, notes=notes, unchecked=unchecked)

    def _mlflow(self, folder: StudyFolder, *, alive: bool) -> list[Finding]:
        recorded = noted_store(folder)
        if not recorded and _no_file(self._place(folder)):
            return []  # nothing was ever recorded
        store = self._store(folder)
        if recorded != store.name:
            require_parent(folder, store)
        runs = recorded_runs(folder, store)
        if alive:
            # A driver at work writes to its ledger first, so it is read last.
            folder = StudyFolder.open(self._storage, folder.definition.name)
        children = RunFindings(folder, store, alive=alive)
        return [*parent_findings(folder, store, runs, alive=alive), *children.among(runs)]

    def _place(self, folder: StudyFolder) -> str:
        """The URI of the store to look at."""
        uri = resolve_tracking_uri(self._uri) if self._uri else ""
        if uri and (self._insist or noted_store(folder) in ("", without_secrets(uri))):
            return uri
        return resolve_tracking_uri(folder.definition.base.track.uri)

    def _store(self, folder: StudyFolder) -> Store:
        key = self._place(folder), folder.definition.base.track.experiment
        if key not in self._stores:
            try:
                _require_file(key[0], folder)
                self._stores[key] = connect(*key)
            except TrackingError as error:
                self._stores[key] = error
        store = self._stores[key]
        if isinstance(store, TrackingError):
            raise store
        return store


def store_findings(uri: str) -> Iterator[Finding]:
    """What is wrong with an MLflow store as a whole: that it was moved, and names places where it lay before.

    Raises:
        TrackingError: it does not answer.
    """
    if problem := move_problem(uri):
        remedy = "the places beside it are named"
        yield Finding(subject=without_secrets(uri), problem=problem, remedy=remedy, fix=partial(mend_move, uri))


def _require_file(uri: str, folder: StudyFolder) -> None:
    """Refuse to create an SQLite store where none is, unless the study was recorded there."""
    recorded = noted_store(folder)
    if _no_file(uri) and recorded != without_secrets(uri):
        raise TrackingError(
            f"no MLflow store at {without_secrets(uri)}; the study was recorded at {recorded}: name that store "
            "with --uri"
        )


def _no_file(uri: str) -> bool:
    """Whether the URI is that of an SQLite store that is not there."""
    path = sqlite_path(uri)
    return path is not None and not path.exists()
