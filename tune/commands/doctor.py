"""``dclf doctor``: find and mend what a kill left behind."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from dclf.prose import quantity
from tune.commands.options import add_output_option, add_storage_option, add_uri_option, command_parser, print_json
from tune.config.sweep_settings import SweepSettings

if TYPE_CHECKING:
    from tune.runner.doctor import Diagnosis
    from tune.runner.finding import Finding

DESCRIPTION = """\
Compare what remembers a study: its ledger, MLflow's runs and the checkpoints. The ledger holds where they differ. An
MLflow store that was moved or copied with its folder still names the old one, and is mended too.
Nothing is changed without --fix, nor while a driver works on the study.
"""
EXAMPLES = """\
examples:
  dclf doctor                            all studies
  dclf doctor gammas
  dclf doctor gammas --fix
  dclf doctor gammas --storage /scratch/studies --output json

The exit code is 0 when all agrees, after --fix too, and 1 when something is left.
"""


def main(argv: Sequence[str]) -> int:
    """Look, or mend, as the command line says, and return the exit code."""
    parser = command_parser("dclf doctor", DESCRIPTION, EXAMPLES)
    parser.add_argument("name", nargs="?", help="of the study; all studies where absent")
    parser.add_argument("--fix", action="store_true", help="mend what can be mended")
    add_storage_option(parser)
    add_uri_option(parser)
    add_output_option(parser)
    options = parser.parse_args(argv)
    if options.name:
        # A name that no study has is told before anything is mended, and before Optuna is imported.
        from tune.study.folder import StudyFolder  # noqa: PLC0415

        StudyFolder.open(options.storage, options.name)
    stores = list(_stores(options.storage, options.uri, fix=options.fix))
    diagnoses = list(_diagnoses(options.storage, options.name, options.uri, fix=options.fix))
    if options.output == "json":
        content = {"stores": [_plain(one) for one in stores], "studies": [_plain(one) for one in diagnoses]}
        print_json({"storage": options.storage, **content})
    else:
        print(
            *(line for one in stores for line in _store_lines(one, fix=options.fix)),
            sep="\n",
            end="\n" if stores else "",
        )
        print(
            *(line for one in diagnoses for line in lines(one, options.storage)),
            sep="\n",
            end="\n" if diagnoses else "",
        )
        if not diagnoses:
            print(f"no studies in {options.storage}")
    return 0 if all(diagnosis.agrees for diagnosis in (*stores, *diagnoses)) else 1


def lines(diagnosis: Diagnosis, storage: str) -> Iterator[str]:
    """One study for a terminal."""
    name, count = diagnosis.name, len(diagnosis.findings)
    yield f"study {name}: {_verdict(diagnosis)}"
    yield from (f"  mended: {finding.line}" for finding in diagnosis.repairs)
    yield from (f"  {finding.line}" for finding in diagnosis.findings)
    yield from (f"  not checked: {reason}" for reason in diagnosis.unchecked)
    yield from (f"  {note}" for note in diagnosis.notes)
    if diagnosis.worker:
        yield f"  {diagnosis.worker} works on it: nothing is changed, and what is listed may be on its way"
    elif count and not diagnosis.repairs and any(finding.fix for finding in diagnosis.findings):
        place = "" if storage == SweepSettings().storage else f" --storage {shlex.quote(storage)}"
        yield f"  mend it with: dclf doctor {name} --fix{place}"


def _store_lines(diagnosis: Diagnosis, *, fix: bool) -> Iterator[str]:
    """A store that was moved, for a terminal."""
    from tune.tracking.store import mending  # noqa: PLC0415

    yield from (f"MLflow store mended: {finding.line}" for finding in diagnosis.repairs)
    yield from (f"MLflow store {finding.line}" for finding in diagnosis.findings)
    if diagnosis.findings and not fix:
        yield f"  mend it with: {mending(diagnosis.name)}"


def _stores(storage: str, uri: str, *, fix: bool) -> Iterator[Diagnosis]:
    """The stores that were moved; one that does not answer is told where its studies are looked at."""
    from tune.runner.doctor import Diagnosis, Doctor, store_findings  # noqa: PLC0415
    from tune.runner.finding import apply_fixes  # noqa: PLC0415

    for store in Doctor(storage, uri).stores():
        with suppress(OSError):
            findings = list(store_findings(store))
            repairs, remaining = apply_fixes(findings) if fix else ([], findings)
            if findings:
                yield Diagnosis(name=store, repairs=repairs, findings=remaining)


def _verdict(diagnosis: Diagnosis) -> str:
    count = len(diagnosis.findings)
    prefix = f"{quantity(len(diagnosis.repairs), 'disagreement')} mended, " if diagnosis.repairs else ""
    if count:
        return f"{prefix}{quantity(count, 'disagreement')}{' left' if prefix else ''}"
    if not diagnosis.readable:
        return "cannot be read"
    return f"{prefix}all that was checked agrees" if diagnosis.unchecked else f"{prefix}all agrees"


def _diagnoses(storage: str, name: str | None, uri: str, *, fix: bool) -> Iterator[Diagnosis]:
    # Imported here, so that help does not wait for Optuna.
    from tune.runner.doctor import Diagnosis, Doctor  # noqa: PLC0415

    doctor = Doctor(storage, uri, insist=name is not None)
    treat = doctor.mend if fix else doctor.look
    for one in [name] if name is not None else doctor.names():
        try:
            yield treat(one)
        except (ValueError, OSError) as error:  # a study that cannot be read keeps no other from being looked at
            yield Diagnosis(name=one, unchecked=[str(error)], readable=False)


def _plain(diagnosis: Diagnosis) -> dict[str, Any]:
    return {
        "name": diagnosis.name,
        "agrees": diagnosis.agrees,
        "worker": diagnosis.worker,
        "mended": [_finding(finding) for finding in diagnosis.repairs],
        "findings": [_finding(finding) for finding in diagnosis.findings],
        "notes": diagnosis.notes,
        "unchecked": diagnosis.unchecked,
    }


def _finding(finding: Finding) -> dict[str, Any]:
    return {
        "subject": finding.subject,
        "problem": finding.problem,
        "remedy": finding.remedy,
        "mendable": finding.fix is not None,
    }
