"""``dclf perturb CONFIG``: the study of base models without and with DCLF that is trained before it is tested."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from jsonargparse import Namespace

from tune.analysis.perturbation.settings import PerturbationSettings, modality_problems
from tune.commands.comparison import ABLATION_OPTIONS, impossible_values, set_by_comparison
from tune.commands.options import listed
from tune.commands.sweep_options import ALIASES, CommandLine
from tune.comparisons import ablation
from tune.config.defaults import SEEDS

_SHORT = {key: option for option, key in ALIASES.items()}


def read(options: Namespace, tests: PerturbationSettings, overrides: Mapping[str, str]) -> CommandLine:
    """Return what is to be trained first, with everything that is wrong about it.

    Args:
        options: of the command line.
        tests: what every model has to go through then.
        overrides: keys of the configuration that are set.
    """
    # Imported here, so that help does not wait for Optuna.
    from tune.search.read import read_sweep  # noqa: PLC0415

    config, common, problems, places = read_sweep(options.what, overrides, values=False)
    models = listed(options.models)
    seeds = SEEDS if options.seeds is None else options.seeds
    settings = ablation(models=models, parts=["base"], seeds=seeds, settings=common)
    needless = set_by_comparison([_SHORT.get(key, f"--{key}") for key in overrides])
    unread = [f"--corrupt: {p}" for p in modality_problems(tests, config.data.modalities, "the configuration")]
    line = CommandLine(options, config, settings, places=places)
    problems = [*needless, *unread, *problems, *impossible_values(line, ABLATION_OPTIONS)]
    return replace(line, problems=list(dict.fromkeys(problems)))
