"""``dclf perturb``: what trained models lose under substituted contexts and damaged modalities.

dclf perturb RUN|STUDY|CONFIG [--kinds eccs,eics --draws 5] [--section.key VALUE ...]
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from jsonargparse import ArgumentParser, Namespace

from dclf.modalities import SCORED_SPLITS
from dclf.prose import suggestion
from tune.commands.options import add_output_option, command_parser
from tune.commands.perturb_target import find_kind, names_config
from tune.commands.sweep_options import STUDIES, options_and_overrides
from tune.config.defaults import PROGRESS_FORMS, SEEDS
from tune.config.local_files import output_problem
from tune.config.sweep_settings import SweepSettings
from tune.config.yaml_files import ConfigError, preset_names

if TYPE_CHECKING:
    from tune.analysis.perturbation.settings import PerturbationSettings
    from tune.commands.job_words import JobCommand

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


def main(argv: Sequence[str]) -> int:
    """Test as the command line says, and return the exit code."""
    return read(argv).run()


def read(argv: Sequence[str]) -> PerturbRequest:
    """Return what the command line asks for.

    Raises:
        ConfigError: with every mistake at once.
        SystemExit: help was asked for, or an option is wrong.
    """
    options, overrides, mistakes = options_and_overrides(argv, build_parser(), FLAGS, VALUED)
    # Imported here: help ends above, and waits for no torch.
    from tune.commands.perturb_options import read_actors, read_settings  # noqa: PLC0415

    settings, problems = read_settings(options)
    _, actor_problems = read_actors(options)
    if mistakes := [*mistakes, *problems, *actor_problems]:
        likely = options.kind or ("config" if names_config(options.what) else "")
        raise ConfigError([*mistakes, *_training_problems(options, settings, overrides, likely)])
    return PerturbRequest(argv, options, overrides, settings)


@dataclass(frozen=True)
class PerturbRequest:
    """Models to score under perturbed conversations.

    Attributes:
        arguments: of the command.
        options: its own options.
        overrides: keys of the configuration that are set.
        settings: of the tests.
    """

    arguments: Sequence[str]
    options: Namespace
    overrides: Mapping[str, str]
    settings: PerturbationSettings

    def run(self) -> int:
        """Score them, print what came of it, and return the exit code."""
        return _run(self.options, self.settings, self.overrides)

    def job(self, study: str) -> JobCommand:
        """See ``tune.commands.request.Request``."""
        from tune.commands.perturb_job import perturb_job  # noqa: PLC0415 - it brings Ray

        return perturb_job(self.arguments, self.options, self.settings, self.overrides, study)


def _run(options: Namespace, settings: PerturbationSettings, overrides: Mapping[str, str]) -> int:
    storage = overrides.get(STUDIES, SweepSettings().storage)
    kind = options.kind or find_kind(options.what, storage, options.uri)
    mistakes = [*_misplaced(options, kind), *_not_a_config(options.what, overrides, kind)]
    if options.out and (problem := output_problem("--out", options.out)):
        mistakes.append(problem)
    if mistakes:
        raise ConfigError([*mistakes, *_training_problems(options, settings, overrides, kind)])
    # Imported here: neither help nor mistakes wait for what the tests need.
    from tune.commands.perturb_test import TESTS  # noqa: PLC0415

    return TESTS[kind](options, settings, {**overrides, STUDIES: storage})


def build_parser() -> ArgumentParser:
    """Return the options of the command."""
    command = command_parser("dclf perturb", DESCRIPTION, EXAMPLES)
    command.usage = "dclf perturb RUN|STUDY|CONFIG [options] [--section.key VALUE ...]"
    command.add_argument("what", help="id or name of a run, name of a study, or a preset or YAML file to train first")
    command.add_argument(
        "--as",
        dest="kind",
        choices=("run", "study", "config"),
        help="which of them it is, where the name leaves it open",
    )
    command.add_argument("--kinds", default="eccs,eics", help="substitutions: eccs, eics, both with a comma, or none")
    command.add_argument("--draws", type=int, default=5, help="draws of each kind; mean and deviation are over them")
    command.add_argument("--split", choices=SCORED_SPLITS, default="test", help="the split to score")
    command.add_argument("--seed", type=int, default=0, help="of the suite: the same seed is the same substitutions")
    command.add_argument(
        "--corrupt",
        default="none",
        metavar="MODALITY:DAMAGE[:PERCENT],...",
        help="damage: missing or noise; at 10, 20 .. 90 percent of the utterances unless one is given",
    )
    command.add_argument("--out", default="", help="folder for substitutions and results; dclf-runs/perturbations else")
    _add_places(command)
    command.add_argument(
        "--log", choices=PROGRESS_FORMS, default="auto", help="progress: live on a terminal, plain lines elsewhere"
    )
    command.add_argument("--quiet", action="store_true", help="as --log quiet: the result only")
    command.add_argument("--verbose", action="store_true", help="let Ray and MLflow speak too")
    add_output_option(command)
    return command


def _add_places(command: ArgumentParser) -> None:
    run = command.add_argument_group("with a run")
    run.add_argument("--shards", help="shards to score; those of the run where absent")
    run.add_argument("--uri", default="", help="MLflow tracking URI; as track.uri of dclf train where absent")
    study = command.add_argument_group("with a study or CONFIG")
    study.add_argument("--storage", dest="alias_storage", metavar="FOLDER", help="folder of studies [sweep.storage]")
    study.add_argument("--at-a-time", type=int, default=0, help="models at a time; as many as fit where absent")
    study.add_argument("--gpus-per-model", type=float, default=0.0, help="0.25 puts four models on a card; 0 uses CPUs")
    study.add_argument("--address", metavar="A", help="of a Ray cluster; RAY_ADDRESS, then a local Ray where absent")
    config = command.add_argument_group("with CONFIG, beside any --section.key VALUE")
    config.add_argument("--models", metavar="A,B", default="", help="base models; the configuration's where absent")
    config.add_argument("--seeds", type=int, help=f"trainings with and without DCLF, the same for all; {SEEDS} else")
    config.add_argument("--name", default="", help="of the study: letters, digits, dots, dashes, underscores")


def _misplaced(options: Namespace, kind: str) -> Iterator[str]:
    """Yield a problem for every option that is for another kind of target."""
    for name, kinds in ONLY_FOR.items():
        value = options[name] is not None if name == "seeds" else options[name]
        if value and kind not in kinds:
            option = f"--{name.replace('_', '-')}"
            yield f"{option}: is for a {' or '.join(kinds)}, {options.what!r} is a {kind}; leave it out"


def _not_a_config(what: str, overrides: Mapping[str, str], kind: str) -> Iterator[str]:
    if kind == "config":
        return
    meaning = f"{what!r} is taken for a {kind}{suggestion(what, preset_names())}"
    for key in overrides:
        if key != STUDIES:
            yield f"--{key}: is for a CONFIG that is trained first, {meaning}"


def _training_problems(
    options: Namespace, settings: PerturbationSettings, overrides: Mapping[str, str], kind: str
) -> list[str]:
    """What is wrong with what is trained first; nothing where all that is scored is there already."""
    if kind != "config":
        return []
    from tune.commands.perturb_config import read as read_training  # noqa: PLC0415 - it brings Optuna

    try:
        return read_training(options, settings, overrides).problems
    except ConfigError as error:  # it cannot be read at all
        return list(error.problems)
