"""What was asked for and cannot be ends with 2, work and surroundings that fail with 1."""

from collections.abc import Callable
from pathlib import Path

import pytest

from cluster.jobs.client import require_name
from cluster.jobs.endpoint import JobError, find_endpoint
from cluster.jobs.install import installation
from cluster.local.options import without_password
from cluster.local.state import ClusterError
from dclf.conversation import Speakers
from dclf.data.errors import OutputFolderError, ShardsUnavailableError
from dclf.data.manifest import read_manifest
from dclf.data.storage import Folder
from dclf.data.writer import refuse_filled
from dclf.extraction.contract import ExtractionWorkError
from tests.tune.runner.sessions import new_study
from tune.commands.main import exit_code, main
from tune.commands.ui import claim_port, require_store
from tune.study.ledger import LedgerError
from tune.study.places import StudyError, StudyUnavailableError, study_path
from tune.tracking.address import refuse_unsupported, resolve_tracking_uri
from tune.tracking.find import list_runs
from tune.tracking.spool import read_spool
from tune.tracking.store import TrackingError
from tune.tracking.trouble import NotResumableError


def code_of(work: Callable[[], object]) -> int:
    with pytest.raises(Exception, match=r"..") as raised:
        work()
    assert isinstance(raised.value, Exception)
    return exit_code(raised.value)


def test_wrong_usage(tmp_path: Path, empty_store: Path) -> None:
    uri = f"sqlite:///{empty_store}"
    (tmp_path / "something").touch()
    for work in (
        lambda: require_name("a b"),
        lambda: find_endpoint("ftp://x", tmp_path),
        lambda: installation(tmp_path / "absent.txt"),
        lambda: without_password("postgresql://me:geheim@host/runs"),
        lambda: claim_port(99999),
        lambda: find_endpoint("", tmp_path),
        lambda: Folder.of("nobody://x"),
        lambda: Folder.of("file://elsewhere/x"),
        lambda: Speakers(2, ["Ann", "Ann"]),
        lambda: read_manifest(tmp_path / "absent"),
        lambda: refuse_filled(tmp_path),
        lambda: require_store(f"sqlite:///{tmp_path}/absent.db"),
        lambda: resolve_tracking_uri("sqlite:///"),
        lambda: refuse_unsupported("ftp://x"),
        lambda: read_spool(tmp_path / "absent"),
        lambda: list_runs(uri, "nope"),
        lambda: study_path(tmp_path, ".."),
    ):
        assert code_of(work) == 2
    assert exit_code(NotResumableError("run a is finished")) == 2
    assert main(["cluster", "up", "--nodes", "0", "--folder", str(tmp_path / "cluster")]) == 2
    script = tmp_path / "study.sh"
    script.touch()
    assert main(["cluster", "manifest", "slurm", "--out", str(script)]) == 2


def test_failures(tmp_path: Path) -> None:
    for error in (
        StudyUnavailableError("other shards"),
        LedgerError("damaged"),
        ShardsUnavailableError("no answer"),
        OutputFolderError("full"),
        ExtractionWorkError("no such letter"),
    ):
        assert exit_code(error) == 1
    folder = new_study(tmp_path)
    with folder.locked():
        assert code_of(lambda: folder.locked().__enter__()) == 1, "another process works on it"
    assert exit_code(StudyError("no study 'gammas'")) == 2
    for error in (JobError("a node is blind"), ClusterError("a port is in use"), TrackingError("no answer")):
        assert exit_code(error) == 1
