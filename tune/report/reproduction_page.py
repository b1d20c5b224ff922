"""What a page of several studies says: each laid out as the paper does, what agrees with it, and what is missing."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from tune.analysis.comparison.claims import as_in_paper, caveats, most_different
from tune.analysis.comparison.number_text import few_seeds_warning
from tune.analysis.comparison.study import study_tables, study_verdicts
from tune.analysis.comparison.variants import layout_of, variants_of
from tune.analysis.comparison.verdicts import NOT_TESTED, OUTCOMES, Verdict, verdicts
from tune.analysis.perturbation.study_tables import perturbation_sentences
from tune.analysis.table import Table
from tune.report.comparison.figures import GAMMAS, LABELS, WINDOWS, comparison_figures
from tune.report.drawing import Drawing
from tune.report.facts import standing_text
from tune.report.verdict_table import verdict_table
from tune.study.dataset import dataset_note
from tune.study.folder import StudyFolder
from tune.study.progress import progress_of

CONFIRMED, AGREES = "What is confirmed and what is not", "What agrees in sign with the paper and what does not"
LAYOUTS: Mapping[str, Sequence[tuple[str, Sequence[str], Sequence[str]]]] = {
    "main": (
        ("Table 3", ("main", "distance", "f1", "accuracy", "optimism"), ()),
        ("Figure 3", (), (LABELS,)),
        ("Table 6", ("perturbation", "damage"), ()),
        ("Table 7", ("shifts",), ()),
    ),
    "variants": (("", ("variants", "distance", "optimism"), ()),),
    "window": (("", ("window", "variants", "distance", "optimism"), (WINDOWS,)),),
    "gammas": (("", ("gammas", "optimism"), (GAMMAS,)),),
    "perturbation": (("", ("perturbation", "damage"), ()),),
}
"""Layout of a study file -> parts: heading, tables and figures, as far as the study has them."""


@dataclass(frozen=True, kw_only=True)
class Part:
    """A table or figure of the paper.

    Attributes:
        heading: which one; empty where the section's says it.
        tables: name of a file -> table.
        drawings: name of a file -> figure.
    """

    heading: str
    tables: Mapping[str, Table]
    drawings: Mapping[str, Drawing]


@dataclass(frozen=True, kw_only=True)
class Section:
    """One study.

    Attributes:
        slug: first part of its files' names, and its anchor.
        heading: the paper's table, and what is asked.
        standing: how far an unfinished study is; empty for a finished one.
        sentences: what was measured beside what the paper has.
        parts: its tables and figures.
        findings: table of the paper and outcome -> what came to it.
        verdicts: on its table of the paper, one by one.
    """

    slug: str
    heading: str
    standing: str
    sentences: tuple[str, ...]
    parts: tuple[Part, ...]
    findings: Mapping[tuple[str, str], Sequence[str]]
    verdicts: tuple[str, Sequence[Verdict]]


@dataclass(frozen=True, kw_only=True)
class Reproduction:
    """What the page says, in plain text that is not escaped yet.

    Attributes:
        title: with the data that the studies ran on.
        data: sentences on the data.
        warnings: what a reader must know before quoting a number.
        ran: the studies, their seeds and epochs.
        versions: of the packages.
        findings: the paper's findings by what they came to, one line per table and outcome.
        judged: what the findings are called: confirmed or not on the paper's own data alone.
        verdicts: the same one by one, with their numbers.
        sections: the studies.
        further: name of a file -> table that belongs to no single study.
        missing: what was not run, and why.
    """

    title: str
    data: tuple[str, ...]
    warnings: tuple[str, ...]
    ran: Table
    versions: tuple[str, ...]
    findings: tuple[str, ...]
    judged: str
    verdicts: Table
    sections: tuple[Section, ...]
    further: Mapping[str, Table]
    missing: tuple[str, ...]


def reproduction_facts(
    folders: Sequence[StudyFolder],
    title: str,
    missing: Mapping[str, str],
    notes: Sequence[str],
    further: Mapping[str, Table],
) -> Reproduction:
    """Gather what the studies came to.

    Args:
        folders: in the order of the page.
        title: of the page.
        missing: table or figure -> why no study is here for it.
        notes: what else is not as in the paper, one sentence each.
        further: name of a file -> table that belongs to no single study.
    """
    data = {folder.definition.name: dataset_note(folder.definition) for folder in folders}
    names = ", ".join(dict.fromkeys(note.name for note in data.values()))
    sections = tuple(_sections(folders))
    return Reproduction(
        title=f"{title} on {names}" if names else title,
        data=tuple(dict.fromkeys(note.sentence for note in data.values())),
        warnings=tuple(
            dict.fromkeys([*notes, *_warnings(folders), *(one.warning for one in data.values() if one.warning)])
        ),
        ran=_ran(folders),
        versions=tuple(_versions(folders)),
        findings=tuple(line for section in sections for line in _findings(section)),
        judged=CONFIRMED if any(as_in_paper(folder.definition) for folder in folders) else AGREES,
        verdicts=verdict_table(
            [section.verdicts for section in sections],
            missing,
            most_different(folder.definition for folder in folders),
        ),
        sections=sections,
        further=dict(further),
        missing=tuple(f"{paper}: {reason}." for paper, reason in missing.items()),
    )


def _sections(folders: Sequence[StudyFolder]) -> Iterator[Section]:
    slugs: set[str] = set()
    for folder in folders:
        plan, name = folder.definition.plan, folder.definition.name
        paper = str(plan.get("paper") or f"Study {name}")
        slug = _slug(paper) if _slug(paper) not in slugs else _slug(name)
        slugs.add(slug)
        progress = progress_of(folder)
        all_verdicts = study_verdicts(folder)
        yield Section(
            slug=slug,
            heading=": ".join(part for part in (paper, str(plan.get("title", ""))) if part),
            standing="" if progress.standing == "finished" else standing_text(progress),
            sentences=(*(one.sentence for one in verdicts(folder)), *_perturbed(folder)),
            parts=tuple(_parts(folder, slug)),
            findings=_grouped(all_verdicts, paper),
            verdicts=(paper, all_verdicts),
        )


def _perturbed(folder: StudyFolder) -> Iterator[str]:
    """Return the sentences on the models; what is to be said of the data stands on the page once."""
    of_data = set(caveats(folder.definition))
    lines = perturbation_sentences(folder)
    return (line for line in lines if not line.startswith("The data are generated") and line not in of_data)


def _parts(folder: StudyFolder, slug: str) -> Iterator[Part]:
    tables, drawings = study_tables(folder), comparison_figures(folder)
    layout = LAYOUTS.get(layout_of(folder.definition), (("", tuple(tables), tuple(drawings)),))
    for heading, names, figures in layout:
        part_tables = {f"{slug}-{name}": tables[name] for name in names if name in tables}
        part_drawings = {f"{slug}-{name}": drawings[name] for name in figures if name in drawings}
        if part_tables or part_drawings:
            yield Part(heading=heading, tables=part_tables, drawings=part_drawings)


def _warnings(folders: Sequence[StudyFolder]) -> Iterator[str]:
    for folder in folders:
        yield from caveats(folder.definition)
    for seeds in sorted({folder.definition.sweep.seeds for folder in folders}):
        names = [folder.definition.name for folder in folders if folder.definition.sweep.seeds == seeds]
        if warning := few_seeds_warning(seeds, "" if len(names) == len(folders) else ", ".join(names)):
            yield warning


def _ran(folders: Sequence[StudyFolder]) -> Table:
    rows = [
        (
            str(folder.definition.plan.get("paper") or "–"),
            folder.definition.name,
            _seeds(folder),
            _epochs(folder),
            f"{len(variants_of(folder))} of {folder.definition.sweep.trials}",
            folder.definition.shards_sha256[:12] or "–",
        )
        for folder in folders
    ]
    head = ("paper", "study", "seeds", "epochs at most", "variants scored", "data hash")
    return Table(title="What was run", head=head, rows=tuple(rows), numeric=len(head))


def _epochs(folder: StudyFolder) -> str:
    """``60``, or ``60 to 150`` where presets of several base models differ."""
    own = folder.definition.base.train.epochs
    epochs = {int(variant["params"].get("train.epochs", own)) for variant in folder.definition.variants} or {own}
    return str(own) if epochs == {own} else " to ".join(map(str, sorted({min(epochs), max(epochs)})))


def _seeds(folder: StudyFolder) -> str:
    """``0 to 4`` as far as they are scored."""
    seeds = sorted({seed for variant in variants_of(folder) for seed in variant.test})
    if len(seeds) > 2 and seeds == list(range(seeds[0], seeds[-1] + 1)):
        return f"{seeds[0]} to {seeds[-1]}"
    return ", ".join(map(str, seeds)) or "–"


def _versions(folders: Sequence[StudyFolder]) -> Iterator[str]:
    """One line, or where studies differ one for each combination."""
    studies: dict[str, list[str]] = {}
    for folder in folders:
        text = ", ".join(f"{name} {version}" for name, version in folder.definition.versions.items())
        studies.setdefault(text or "not recorded", []).append(folder.definition.name)
    for text, names in studies.items():
        yield f"Versions: {text}." if len(studies) == 1 else f"Versions of {', '.join(names)}: {text}."


def _grouped(all_verdicts: Sequence[Verdict], paper: str) -> dict[tuple[str, str], list[str]]:
    """Return (table, outcome) -> claims: tables in the order of the verdicts, in each first what agrees."""
    grouped: dict[tuple[str, str], list[str]] = {}
    for table in dict.fromkeys(one.table or paper for one in all_verdicts):
        for outcome in (*OUTCOMES, NOT_TESTED):
            about = [one.about for one in all_verdicts if (one.table or paper, one.outcome) == (table, outcome)]
            if about:
                grouped[table, outcome] = about
    return grouped


def _findings(section: Section) -> Iterator[str]:
    for (table, outcome), about in section.findings.items():
        yield f"{table}, {outcome} ({len(about)}): {'; '.join(about)}."


def _slug(text: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-") or "study"
