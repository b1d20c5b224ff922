"""``dclf perturb CONFIG``: trains base models without and with DCLF, whose trainings are tested then."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING

from jsonargparse import Namespace

from tune.commands.options import listed
from tune.commands.sweep_options import CommandLine, require_local_room
from tune.commands.sweep_results import sweep_command_line
from tune.comparisons import SEEDS, ablation
from tune.progress.forms import choose_renderer
from tune.report.facts import study_command

if TYPE_CHECKING:
    from tune.studies import Study


def train(options: Namespace, overrides: Mapping[str, str]) -> Study:
    """Train the study.

    Raises:
        ConfigError: with every mistake at once.
        TrialPlanError: this machine has no room for it.
    """
    line = read(options, overrides)
    line.require_sound()
    require_local_room(line)
    renderer = choose_renderer(options.log, quiet=options.quiet, title="dclf sweep")
    try:
        with renderer:
            return sweep_command_line(line, renderer, kind="ablation")
    except BaseException:
        if renderer.study is not None:
            folder = renderer.study.folder
            then = study_command("perturb", folder)
            print(f"dclf: cut short; go on with: {study_command('resume', folder)} && {then}", file=sys.stderr)
        raise


def read(options: Namespace, overrides: Mapping[str, str]) -> CommandLine:
    """Return what is to be trained first, with everything that is wrong about it."""
    # Imported here, so that help does not wait for Optuna.
    from tune.search.checks import sweep_problems  # noqa: PLC0415
    from tune.search.read import read_sweep  # noqa: PLC0415

    config, common, problems = read_sweep(options.what, overrides, values=False)
    models = listed(options.models)
    seeds = SEEDS if options.seeds is None else options.seeds
    settings = ablation(models=models, parts=["base"], seeds=seeds, settings=common)
    return CommandLine(options, config, settings, problems or [*config.problems(), *sweep_problems(settings, config)])
