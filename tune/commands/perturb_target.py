"""What the name on the command line of ``dclf perturb`` means: a run, a study, or a configuration to train first."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Literal

from tune.config.yaml_files import ConfigError, preset_names
from tune.study.places import StudyError, study_exists
from tune.tracking.address import is_new, resolve_tracking_uri
from tune.tracking.children import STUDY_TAG

Kind = Literal["run", "study", "config"]
_MOST = 50


def find_kind(what: str, storage: str, uri: str = "") -> Kind:
    """Return which it is: a preset or YAML file is a configuration, a study in the storage a study, all else a run.

    Args:
        what: the name.
        storage: folder of studies.
        uri: MLflow tracking URI, as ``track.uri``.

    Raises:
        ConfigError: it means several of them.
        TrackingError: the MLflow store does not answer.
    """
    kinds: list[Kind] = [*named_on_disk(what, storage)]
    if not kinds:
        return "run"
    if _has_run(resolve_tracking_uri(uri), what):
        kinds.append("run")
    if len(kinds) > 1:
        ways = " or ".join(f"--as {kind}" for kind in kinds)
        raise ConfigError([f"{what!r} names several things, a {' and a '.join(kinds)}; say which one with {ways}"])
    return kinds[0]


def names_config(what: str) -> bool:
    """Whether the name is that of a preset or of a YAML file."""
    return what in preset_names() or Path(what).suffix in (".yaml", ".yml")


def named_on_disk(what: str, storage: str) -> Iterator[Kind]:
    """What the name means here, whatever runs there are: a configuration, a study, both or neither."""
    if names_config(what):
        yield "config"
    try:
        if study_exists(storage, what):
            yield "study"
    except StudyError:  # no study can have this name
        return


def _has_run(uri: str, name: str) -> bool:
    """Whether a run that belongs to no study has this name; a study's own run has the study's."""
    if is_new(uri) or any(c in name for c in "\"'\\"):
        return False
    # Imported here: it brings MLflow, which an unmistakable name does not need.
    from tune.tracking.find import experiment_ids  # noqa: PLC0415
    from tune.tracking.manners import manners  # noqa: PLC0415
    from tune.tracking.store import open_client  # noqa: PLC0415
    from tune.tracking.trouble import explained  # noqa: PLC0415

    client = open_client(uri)
    with explained(uri), manners():
        runs = client.search_runs(experiment_ids(client), f'attributes.run_name = "{name}"', max_results=_MOST)
        return any(STUDY_TAG not in run.data.tags for run in runs)
