"""``dclf perturb``: what trained models lose under substituted contexts and damaged modalities.

dclf perturb RUN|STUDY|CONFIG [--kinds eccs,eics --draws 5] [--section.key VALUE ...]
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

from jsonargparse import ArgumentParser, Namespace

from tune.commands.options import LOGS, add_output_option, command_parser, print_json
from tune.commands.sweep_options import options_and_overrides
from tune.comparisons import SEEDS
from tune.config.local_files import output_problem
from tune.config.sweep_settings import SweepSettings
from tune.config.yaml_files import ConfigError

if TYPE_CHECKING:
    from tune.analysis.perturbation.settings import PerturbationSettings
    from tune.perturbations import PerturbationTest

DESCRIPTION = """\
Score trained models again with every context replaced by utterances of other dialogues: with the same emotions (ECCS)
or other ones (EICS), as Tables 1 and 6 of the paper do; or with missing and noisy modalities. Every model meets the
same substitutions. Results go to files and to the runs in MLflow.
"""
EXAMPLES = """\
examples:
  dclf perturb 3f2a91c0                                            a finished run's best model
  dclf perturb mmgcn-iemocap --draws 10 --split val --output json
  dclf perturb 3f2a91c0 --corrupt text:noise,audio:missing         10, 20 .. 90 % of the utterances
  dclf perturb 3f2a91c0 --kinds none --corrupt text:missing:50
  dclf perturb parts                                               every training of a study of dclf ablate or grid
  dclf perturb iemocap --data.shards shards/iemocap --models mmgcn,ddin --name table6
                                                                   trains base model and DCLF first, five seeds each

A study keeps what is scored: the same call goes on after any kill. A training that was cut short goes on with dclf
resume NAME, then dclf perturb NAME. Progress goes to stderr, tables to stdout. docs/perturbations.md has the files and
the numbers' meaning.
"""
FLAGS = ("--help", "-h", "--quiet", "--verbose")
VALUED = (
    "--as", "--kinds", "--draws", "--split", "--seed", "--corrupt", "--shards", "--out", "--uri", "--models", "--seeds",
    "--name", "--address", "--at-a-time", "--gpus-per-model", "--log", "--output",
)  # fmt: skip
ONLY_FOR = {
    "shards": ("run",),
    "uri": ("run",),
    "models": ("config",),
    "seeds": ("config",),
    "name": ("config",),
    "address": ("study", "config"),
    "at_a_time": ("study", "config"),
    "gpus_per_model": ("study", "config"),
    "verbose": ("study", "config"),
}
"""Option -> what it can be used with."""
STORAGE = "sweep.storage"


def main(argv: Sequence[str]) -> int:
    """Test as the command line says; the exit code."""
    options, overrides, mistakes = options_and_overrides(argv, parser(), FLAGS, VALUED)
    settings, problems = read_settings(options)
    if found := [*mistakes, *problems]:
        raise ConfigError(found)
    # Imported here: help does not wait for them, nor do mistakes wait for what the tests need.
    from tune.analysis.perturbation.target import find_target  # noqa: PLC0415

    storage = overrides.get(STORAGE, SweepSettings().storage)
    target = options.target or find_target(options.what, storage, options.uri)
    if found := [*_misplaced(options, target), *_not_a_config(overrides, target)]:
        raise ConfigError(found)
    if options.out and (problem := output_problem("--out", options.out)):
        raise ConfigError([problem])
    if target == "run":
        with _studies_named(storage):
            return _perturb_run(options, settings)
    from tune.commands.perturb_study import perturb_config, perturb_named  # noqa: PLC0415

    if target == "study":
        return perturb_named(options, settings, storage)
    return perturb_config(options, settings, overrides)


def parser() -> ArgumentParser:
    """The options of the command."""
    made = command_parser("dclf perturb", DESCRIPTION, EXAMPLES)
    made.usage = "dclf perturb RUN|STUDY|CONFIG [options] [--section.key VALUE ...]"
    made.add_argument("what", help="id or name of a run, name of a study, or a preset or YAML file to train first")
    made.add_argument(
        "--as",
        dest="target",
        choices=("run", "study", "config"),
        help="which of them it is, where the name leaves it open",
    )
    made.add_argument("--kinds", default="eccs,eics", help="substitutions: eccs, eics, both with a comma, or none")
    made.add_argument("--draws", type=int, default=5, help="draws of each kind; mean and deviation are over them")
    made.add_argument("--split", choices=("val", "test"), default="test", help="the split to score")
    made.add_argument("--seed", type=int, default=0, help="of the suite: the same seed is the same substitutions")
    made.add_argument(
        "--corrupt",
        default="none",
        metavar="MODALITY:DAMAGE[:PERCENT],...",
        help="damage: missing or noise; at 10, 20 .. 90 % of the utterances unless a percent is given",
    )
    made.add_argument("--out", default="", help="folder for substitutions and results; dclf-runs/perturbations else")
    _add_places(made)
    made.add_argument("--log", choices=LOGS, default="auto", help="progress: live on a terminal, plain lines elsewhere")
    made.add_argument("--quiet", action="store_true", help="as --log quiet: the result only")
    made.add_argument("--verbose", action="store_true", help="let Ray and MLflow speak too")
    add_output_option(made)
    return made


def _add_places(made: ArgumentParser) -> None:
    run = made.add_argument_group("with a run")
    run.add_argument("--shards", help="shards to score; those of the run where absent")
    run.add_argument("--uri", default="", help="MLflow tracking URI; as track.uri of dclf train where absent")
    study = made.add_argument_group("with a study or CONFIG")
    study.add_argument("--storage", dest="alias_storage", metavar="FOLDER", help="folder of studies [sweep.storage]")
    study.add_argument("--at-a-time", type=int, default=0, help="models at a time; as many as fit where absent")
    study.add_argument("--gpus-per-model", type=float, default=0.0, help="0.25 puts four models on a card; 0 uses CPUs")
    study.add_argument("--address", metavar="A", help="of a Ray cluster; RAY_ADDRESS, then a local Ray where absent")
    config = made.add_argument_group("with CONFIG, beside any --section.key VALUE")
    config.add_argument("--models", metavar="A,B", default="", help="base models; the configuration's where absent")
    config.add_argument("--seeds", type=int, help=f"trainings with and without DCLF, the same for all; {SEEDS} else")
    config.add_argument("--name", default="", help="of the study: letters, digits, dots, dashes, underscores")


def read_settings(options: Namespace) -> tuple[PerturbationSettings, list[str]]:
    """The settings that the options ask for, and every impossible value."""
    # Imported here, so that help does not wait for torch.
    from tune.analysis.perturbation.settings import PerturbationSettings  # noqa: PLC0415
    from tune.commands.perturb_options import read_corruptions, read_kinds  # noqa: PLC0415

    corruptions, problems = read_corruptions(options.corrupt, options.seed)
    settings = PerturbationSettings(
        kinds=read_kinds(options.kinds),
        draws=options.draws,
        split=options.split,
        seed=options.seed,
        corruptions=tuple(corruptions),
    )
    found = [*problems, *(f"--{problem.replace('corruptions:', 'corrupt:')}" for problem in settings.problems())]
    if "://" in options.out:
        found.append(f"--out: must be a folder on this machine, is {options.out}")
    return settings, found


def _perturb_run(options: Namespace, settings: PerturbationSettings) -> int:
    from tune.commands.view_choice import choose_perturbation_view  # noqa: PLC0415 - help does not wait

    with choose_perturbation_view(options.log, quiet=options.quiet) as view:
        # Imported here: the view shows the wait for torch and MLflow.
        from tune.perturbations import OUT, perturb  # noqa: PLC0415

        places = {"uri": options.uri, "shards": options.shards, "out": options.out or OUT}
        done = perturb(options.what, settings, view=view, **places)
    if options.output == "json" or options.log == "jsonl":
        print_json({**done.report.to_dict(), "results": str(done.results), "substitutions": str(done.substitutions)})
    else:
        print(*result_lines(done), sep="\n", flush=True)
    return 0


@contextmanager
def _studies_named(storage: str) -> Iterator[None]:
    """Who mistypes a study's name is told the studies too, where no run has it."""
    from tune.study.places import study_names  # noqa: PLC0415 - help does not wait
    from tune.tracking.trouble import UnknownRunError  # noqa: PLC0415

    try:
        yield
    except UnknownRunError as error:
        known = ", ".join(study_names(storage)[:5])
        raise UnknownRunError(f"{error}\nnor is it a study in {storage}" + (f": {known}" if known else "")) from None


def result_lines(done: PerturbationTest) -> Iterator[str]:
    """Tables and places for a terminal."""
    from tune.analysis.perturbation.tables import tables  # noqa: PLC0415
    from tune.analysis.table import aligned  # noqa: PLC0415 - help does not wait

    for table in tables(done.report):
        yield table.title
        yield from aligned([table.head, *table.rows], right=range(table.numeric, len(table.head)))
        yield ""
    yield f"results        {done.folder}"
    yield f"substitutions  {done.substitutions}"


def _misplaced(options: Namespace, target: str) -> Iterator[str]:
    """Options that say nothing of what is tested."""
    for name, targets in ONLY_FOR.items():
        if options[name] and target not in targets:
            option = f"--{name.replace('_', '-')}"
            yield f"{option}: is for a {' or '.join(targets)}, {options.what!r} is a {target}; leave it out"


def _not_a_config(overrides: Mapping[str, str], target: str) -> Iterator[str]:
    if target != "config":
        for key in overrides:
            if key != STORAGE:
                yield f"--{key}: unknown option; keys of a configuration are for a CONFIG that is trained first"
