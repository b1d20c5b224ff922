"""``dclf plan``: what a study would run, on which slots, how long it would take and what it would write.

Nothing is started but a short training in this process; without ``--address`` not even Ray.
"""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from contextlib import ExitStack

from jsonargparse import ArgumentParser

from cluster.address import cluster_address
from cluster.machine import machine_gpus
from cluster.trial_plan import TrialPlan, local_trial_resources, plan_trials
from tune.commands.dispatch import Command, dispatch
from tune.commands.next_steps import print_next
from tune.commands.plan_results import SweepPlan, print_plan
from tune.commands.sweep_options import CommandLine, add_settings_help, read_command_line, sweep_parser

COMMANDS = {
    "sweep": Command("what a sweep would run", "tune.commands.plan:sweep"),
    "study": Command("what a study file would run", "tune.commands.plan:study"),
    "ablate": Command("what ablations would run", "tune.commands.plan:ablate"),
    "grid": Command("what a grid would run", "tune.commands.plan:grid"),
    "leaderboard": Command("what a leaderboard would run", "tune.commands.plan:leaderboard"),
}
EXAMPLES = """\
examples:
  dclf plan sweep iemocap --data.shards shards/iemocap --trials 50
  dclf plan sweep my.yaml --workers-per-trial 2 --concurrency 4 --address 10.0.0.5:6379
  dclf plan sweep my.yaml --no-probe --output json
  dclf plan study iemocap/table4 --data.shards shards/iemocap
  dclf plan ablate iemocap --data.shards shards/iemocap --models mmgcn,ddin
  dclf plan grid iemocap --data.shards shards/iemocap --loss.window 2,4,8,16
  dclf plan leaderboard --shards shards/iemocap --models mmgcn,aghmn

Takes the options of dclf sweep, study, ablate, grid or leaderboard. A layout that would wait for ever is refused, with
what to change and exit code 2.
"""
FLAGS = ("--help", "-h", "--no-probe")
VALUED = ("--name", "--address", "--output")


def main(argv: Sequence[str]) -> int:
    """Run the named command, and return the exit code."""
    return dispatch("dclf plan", "Say what would run, before it does.", COMMANDS, argv, epilog=EXAMPLES)


def sweep(argv: Sequence[str]) -> int:
    """Plan as the command line says, and return the exit code."""
    line = read_command_line(argv, build_parser(), FLAGS, VALUED)
    line.require_sound()
    return _print(line, "sweep", argv)


def build_parser() -> ArgumentParser:
    """Return a parser with the options of ``dclf plan sweep``."""
    parser = sweep_parser("dclf plan sweep", "Search configurations for the best validation score.", EXAMPLES)
    add_settings_help(parser)
    return _with_probe(parser)


def study(argv: Sequence[str]) -> int:
    """Plan a study file as the command line says, and return the exit code."""
    from tune.commands import study as command  # noqa: PLC0415 - nobody else waits for it

    return _print(
        command.read_comparison(argv, _with_probe(command.build_parser("dclf plan study")), FLAGS).command_line,
        "study",
        argv,
    )


def ablate(argv: Sequence[str]) -> int:
    """Plan ablations as the command line says, and return the exit code."""
    from tune.commands import ablate as command  # noqa: PLC0415

    parser = _with_probe(command.build_parser("dclf plan ablate"))
    return _print(command.read_comparison(argv, parser, FLAGS), "ablate", argv)


def grid(argv: Sequence[str]) -> int:
    """Plan a grid as the command line says, and return the exit code."""
    from tune.commands import grid as command  # noqa: PLC0415

    parser = _with_probe(command.build_parser("dclf plan grid"))
    return _print(command.read_comparison(argv, parser, FLAGS), "grid", argv)


def leaderboard(argv: Sequence[str]) -> int:
    """Plan a leaderboard as the command line says, and return the exit code."""
    from tune.commands import leaderboard as command  # noqa: PLC0415

    parser = _with_probe(command.build_parser("dclf plan leaderboard"))
    return _print(command.read_comparison(argv, parser, FLAGS).command_line, "leaderboard", argv)


def _with_probe(parser: ArgumentParser) -> ArgumentParser:
    """Turn a command's options into those of its plan."""
    parser.description = f"Say what this would run, before it does: {parser.description}"
    parser.epilog = EXAMPLES
    parser.add_argument("--no-probe", action="store_true", help="train nothing; leaves out time, bytes and memory")
    return parser


def _print(line: CommandLine, command: str, argv: Sequence[str]) -> int:
    layout = _layout(line)
    print_plan(_sweep_plan(line, layout), as_json=line.options.output == "json")
    print_next(line.options, shlex.join(["dclf", command, *(word for word in argv if word != "--no-probe")]))
    return 0


def _layout(line: CommandLine) -> TrialPlan:
    """The layout on this machine or, where an address says so, on a cluster."""
    with ExitStack() as stack:
        if not cluster_address(line.options.address):
            resources = local_trial_resources(line.config, line.settings)
        else:
            from cluster.session import ray_session  # noqa: PLC0415 - only those wait for Ray who have a cluster

            resources = stack.enter_context(ray_session(line.options.address))
        return plan_trials(line.config, line.settings, resources)


def _sweep_plan(line: CommandLine, layout: TrialPlan) -> SweepPlan:
    # Imported here, so that a refused layout waits for neither the shards nor the training loop.
    from dclf.data import read_shards  # noqa: PLC0415
    from dclf.training.preflight import check_shards  # noqa: PLC0415
    from tune.config.overrides import apply  # noqa: PLC0415
    from tune.config.yaml_files import ConfigError  # noqa: PLC0415
    from tune.runner.estimate import Estimate, estimate, listed_estimate  # noqa: PLC0415
    from tune.runner.probe import Probe, probe_each  # noqa: PLC0415
    from tune.search.checks import objective_problems, sweep_space, trained_modalities  # noqa: PLC0415
    from tune.search.start_points import countable_size, start_points  # noqa: PLC0415

    config, settings = line.config, line.settings
    shards = read_shards(config.data.shards)
    space = sweep_space(settings, config)
    check_shards(shards, trained_modalities(space, config), perturb=config.train.perturb_every > 0)
    if problems := objective_problems(settings, shards.info.class_names):
        raise ConfigError(problems)
    size, starts = countable_size(settings, space, config), start_points(settings, space, config)
    listed = [apply(config, point) for point in starts[: settings.trials or None]]
    trials = listed if settings.sampler == "listed" else [config]
    costs: dict[str, Probe] = {}
    expected: Estimate | None = None
    if not line.options.no_probe:
        costs = probe_each(trials, device=layout.device if machine_gpus() else "cpu")
        if settings.sampler == "listed":
            expected = listed_estimate(trials, settings, layout, costs)
        else:
            expected = estimate(config, settings, layout, costs[config.model.name], size)
    return SweepPlan(
        name=line.options.name,
        config=config,
        settings=settings,
        space=space,
        combinations=space.size if size is None else size,
        starts=starts,
        layout=layout,
        costs=costs,
        estimate=expected,
    )
