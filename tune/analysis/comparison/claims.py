"""Whether a study may say anything of the paper: its data set, and the modalities that the paper's models read."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from dclf.paper_data import UNREADABLE, papers_modalities
from tune.study.dataset import dataset_note
from tune.study.definition import StudyDefinition

OTHER_DATA, OTHER_MODALITIES = " (other data)", " (other modalities)"


def unlike_paper(definition: StudyDefinition) -> tuple[str, ...]:
    """Return why the published figures are not of the study's data, a clause each; empty where they are."""
    try:
        return definition.differences_from_paper
    except (OSError, ValueError):
        return (UNREADABLE,)


def as_in_paper(definition: StudyDefinition) -> bool:
    """Whether the study can confirm the paper: its data set, with all the modalities that the paper's models read."""
    return not unlike_paper(definition)


def other_data(definition: StudyDefinition) -> str:
    """Return what stands behind the paper's numbers: nothing where data and modalities are the study's.

    `` (other modalities)`` on the paper's own data, read otherwise than by the paper's models; else `` (other data)``.
    """
    reasons = unlike_paper(definition)
    if not reasons:
        return ""
    return OTHER_MODALITIES if len(reasons) == 1 and _is_read_otherwise(definition) else OTHER_DATA


def most_different(definitions: Iterable[StudyDefinition]) -> str:
    """Return ``other_data`` of several studies: of other data before other modalities."""
    words = {other_data(definition) for definition in definitions}
    return next((one for one in (OTHER_DATA, OTHER_MODALITIES) if one in words), "")


def _is_read_otherwise(definition: StudyDefinition) -> bool:
    data, base = dataset_note(definition), definition.base
    own = not data.generated and data.name == base.published.get("dataset")
    return own and set(base.data.modalities) != set(papers_modalities(base))


def caveats(definition: StudyDefinition) -> Iterator[str]:
    """Yield what limits a comparison with the paper; nothing where data and modalities are the paper's."""
    data, base = dataset_note(definition), definition.base
    paper = str(base.published.get("dataset", ""))
    if not paper:
        return
    modalities = papers_modalities(base)
    if data.generated:
        yield "The data are generated: that signs agree with the paper's says nothing of the paper's data."
    elif data.name != paper:
        yield f"The paper's numbers are of {paper}, these of {data.name} data: agreement confirms nothing of the paper."
    elif _is_read_otherwise(definition):
        mine, theirs = ", ".join(base.data.modalities), ", ".join(modalities)
        yield f"The paper's models read {theirs}, these {mine} alone: agreement confirms nothing of the paper."
    elif reasons := unlike_paper(definition):
        why = "; ".join(reasons)
        yield f"These data are called {paper} and are not the paper's: {why}. Agreement confirms nothing of the paper."
