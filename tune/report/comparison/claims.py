"""Whether a study may say anything of the paper: its data set, and the modalities that the paper's models read."""

from __future__ import annotations

from collections.abc import Iterator

from tune.report.comparison.paper import MODALITIES
from tune.report.dataset import DatasetNote, dataset_note
from tune.study.definition import StudyDefinition


def on_papers_data(definition: StudyDefinition, data: DatasetNote | None = None) -> bool:
    """Whether the study ran on the data set that the published numbers are of, going by its name."""
    data = dataset_note(definition) if data is None else data
    return bool(data.name) and data.name == definition.base.published.get("dataset")


def as_in_paper(definition: StudyDefinition, data: DatasetNote | None = None) -> bool:
    """Whether the study can confirm the paper: its data set, with all the modalities that the paper's models read."""
    return on_papers_data(definition, data) and set(definition.base.data.modalities) == set(MODALITIES)


def caveats(definition: StudyDefinition) -> Iterator[str]:
    """Why the sentences say less of the paper than they seem to; nothing where they need no such words."""
    data, base = dataset_note(definition), definition.base
    paper = str(base.published.get("dataset", ""))
    if not paper:
        return
    if data.generated:
        yield "The data are generated: that signs agree with the paper's says nothing of the paper's data."
    elif not on_papers_data(definition, data):
        yield f"The paper's numbers are of {paper}, these of {data.name} data: agreement confirms nothing of the paper."
    elif not as_in_paper(definition, data):
        mine, theirs = ", ".join(base.data.modalities), ", ".join(MODALITIES)
        yield f"The paper's models read {theirs}, these {mine} alone: agreement confirms nothing of the paper."
