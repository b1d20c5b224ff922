"""Options of ``dclf sweep`` and ``dclf plan sweep``: short names of the sweep's settings, and what both check."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

from jsonargparse import ArgumentParser, Namespace

from cluster.address import cluster_address
from cluster.trial_plan import local_trial_resources, plan_trials
from dclf.config import Config
from tune.commands.options import add_address_option, add_config_argument, add_output_option, command_parser
from tune.commands.overrides import split_overrides
from tune.config.sweep_settings import SweepSettings
from tune.config.yaml_files import ConfigError
from tune.study.places import StudyError, require_new

STUDIES = "sweep.storage"
"""The key of the folder of studies."""
ALIASES = {
    "--trials": "sweep.trials",
    "--time": "sweep.time",
    "--sampler": "sweep.sampler",
    "--scheduler": "sweep.scheduler",
    "--concurrency": "sweep.concurrency",
    "--workers-per-trial": "sweep.workers_per_trial",
    "--gpus-per-trial": "sweep.gpus_per_trial",
    "--seeds-per-trial": "sweep.seeds",
    "--storage": STUDIES,
}
"""Short option -> the key that it sets."""
HELP = {
    "--trials": "how many trials; 0 for as many as --time allows",
    "--time": "how long, such as 90min or 12h, over all resumptions",
    "--sampler": "where trials come from: tpe, gp, cmaes, random, grid, nsga2 or listed",
    "--scheduler": "which trials end early: asha, median, hyperband, pbt or none",
    "--concurrency": "trials, of a comparison trainings, at a time: auto, or a number",
    "--workers-per-trial": "0 trains in the trial's own process; more go through Ray Train",
    "--gpus-per-trial": "GPUs of a trial; 0.25 puts four on a card",
    "--seeds-per-trial": "trainings per trial; its value is their mean",
    "--storage": "folder of studies",
}


@dataclass(frozen=True)
class CommandLine:
    """What a command line says, once it is read.

    Attributes:
        options: the command's own options.
        config: the base configuration.
        settings: of the sweep.
        problems: what is wrong with both, each one line.
        places: dotted key -> where it was written, as ``typed_values.place_of`` takes it.
    """

    options: Namespace
    config: Config
    settings: SweepSettings
    problems: list[str] = field(default_factory=list)
    places: Mapping[str, str] = field(default_factory=dict)

    def require_sound(self) -> None:
        """Refuse what cannot be run.

        Raises:
            ConfigError: with every mistake at once, the study's name included.
        """
        # Imported here: it brings Optuna, for which help should not wait.
        from tune.runner.warm_start import warm_start_problems  # noqa: PLC0415

        name_problems = _name_problems(self.options.name, self.settings.storage)
        if problems := [*self.problems, *name_problems, *warm_start_problems(self.settings)]:
            raise ConfigError(problems)


def read_command_line(
    argv: Sequence[str], parser: ArgumentParser, flags: Sequence[str], valued: Sequence[str], *, values: bool = True
) -> CommandLine:
    """Tell options from overrides and read the configuration.

    Args:
        argv: the command's arguments.
        parser: of the command's own options; ``CONFIG`` and ``--name`` are among them.
        flags: those without a value.
        valued: those with a value.
        values: whether impossible values count as mistakes.

    Raises:
        ConfigError: the configuration file, or one that it extends, cannot be read; with the mistakes beside that.
        SystemExit: help was asked for, or an option of the command is wrong.
    """
    options, overrides, mistakes = options_and_overrides(argv, parser, flags, valued)
    # Imported here, so that help does not wait for Optuna.
    from tune.search.read import read_sweep  # noqa: PLC0415

    try:
        config, settings, problems, places = read_sweep(options.config, overrides, values=values)
    except ConfigError as error:
        raise ConfigError([*mistakes, *error.problems]) from error
    return CommandLine(options, config, settings, [*mistakes, *problems], places)


def options_and_overrides(
    argv: Sequence[str], parser: ArgumentParser, flags: Sequence[str], valued: Sequence[str]
) -> tuple[Namespace, dict[str, str], list[str]]:
    """The command's own options, the dotted keys that are overridden, and what is wrong with those.

    Args:
        argv: the command's arguments.
        parser: of its own options.
        flags: those without a value.
        valued: those with a value.

    Raises:
        SystemExit: help was asked for, or an option of the command is wrong.
    """
    rest, overrides, mistakes = split_overrides(_spelt_out(argv), flags, valued, ALIASES)
    options = parser.parse_args(rest)
    if overrides.get("sweep.concurrency") == "auto":
        overrides["sweep.concurrency"] = "0"
    return options, overrides, mistakes


def sweep_parser(prog: str, description: str, epilog: str) -> ArgumentParser:
    """Return a parser with the options that every command of a sweep takes."""
    parser = command_parser(prog, description, epilog)
    parser.usage = f"{prog} [CONFIG] [--section.key VALUE ...] [options]"
    add_config_argument(parser)
    parser.add_argument("--name", default="", help="of the study: letters, digits, dots, dashes, underscores")
    add_address_option(parser)
    add_output_option(parser)
    return parser


def add_settings_help(parser: ArgumentParser, without: Collection[str] = ()) -> None:
    """List the short options in the help; they are taken out of the command line before the parser sees it.

    Args:
        parser: of the command.
        without: keys that the command sets itself.
    """
    group = parser.add_argument_group("search (each is short for the key in brackets; --sweep.KEY sets any other)")
    for option, key in ((option, key) for option, key in ALIASES.items() if key not in without):
        group.add_argument(option, dest=f"alias_{key}", metavar=option[2].upper(), help=f"{HELP[option]} [{key}]")


def require_local_room(line: CommandLine) -> None:
    """Refuse at once what this machine has no room for; a cluster is asked when it is joined.

    Raises:
        TrialPlanError: the layout does not fit.
    """
    if not cluster_address(line.options.address):
        resources = local_trial_resources(line.config, line.settings)
        plan_trials(line.config, line.settings, resources)


def _spelt_out(argv: Sequence[str]) -> list[str]:
    """Return the arguments with every short option replaced by its key."""
    words = []
    for word in argv:
        option, equals, value = word.partition("=")
        words.append(f"--{ALIASES[option]}{equals}{value}" if option in ALIASES else word)
    return words


def _name_problems(name: str, storage: str) -> list[str]:
    """What keeps a new study of this name from being made; an empty name is made up later."""
    if not name:
        return []
    try:
        require_new(storage, name)
    except StudyError as error:
        return [f"--name: {error}"]
    return []
