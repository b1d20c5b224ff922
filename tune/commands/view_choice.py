"""The view of a study and of a perturbation test that the options ask for."""

from __future__ import annotations

from tune.commands.options import chosen_log
from tune.commands.perturb_views import JsonLinesPerturbationView, PlainPerturbationView, QuietPerturbationView
from tune.commands.study_views import JsonLinesStudyView, PlainStudyView, QuietStudyView


def choose_study_view(log: str, *, quiet: bool) -> QuietStudyView:
    """The view that the options ask for, and on `auto` the one that stderr can show."""
    chosen = chosen_log(log, quiet=quiet)
    if chosen == "live":
        # rich is only needed on a terminal.
        from tune.commands.study_views_live import RichStudyView  # noqa: PLC0415

        return RichStudyView()
    kinds: dict[str, type[QuietStudyView]] = {"plain": PlainStudyView, "jsonl": JsonLinesStudyView}
    return kinds.get(chosen, QuietStudyView)()


def choose_perturbation_view(log: str, *, quiet: bool) -> QuietPerturbationView:
    """The view that the options ask for, and on `auto` the one that stderr can show."""
    chosen = chosen_log(log, quiet=quiet)
    if chosen == "live":
        # rich is only needed on a terminal.
        from tune.commands.perturb_live import RichPerturbationView  # noqa: PLC0415

        return RichPerturbationView()
    kinds: dict[str, type[QuietPerturbationView]] = {
        "plain": PlainPerturbationView,
        "jsonl": JsonLinesPerturbationView,
    }
    return kinds.get(chosen, QuietPerturbationView)()
