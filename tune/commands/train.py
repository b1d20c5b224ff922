"""``dclf train``: from a configuration to a scored run.

dclf train CONFIG [--section.key VALUE ...]
dclf train --resume RUN
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from jsonargparse import ArgumentParser, Namespace

from dclf.config import Config
from tune.commands.next_steps import print_next, run_line, store_option
from tune.commands.options import add_config_argument, add_log_options, add_output_option, command_parser
from tune.commands.overrides import split_overrides, told_with
from tune.commands.reference import annotated_yaml, field_docs, flow
from tune.commands.results import print_run
from tune.config.settings import config_types, describe, read_config
from tune.config.yaml_files import ConfigError
from tune.progress.forms import choose_renderer

if TYPE_CHECKING:
    from tune.commands.job_words import JobCommand

EXAMPLES = """\
examples:
  dclf train iemocap --data.shards shards/iemocap
  dclf train my.yaml --model.name ddin --loss.gamma_ca 0.6 --data.modalities text,audio
  dclf train my.yaml --train.workers 2
  dclf train my.yaml --train.workers "[1,4]"       elastic: one to four workers
  dclf train meld --data.shards shards/meld --log jsonl > run.jsonl
  dclf train meld --print-config > my.yaml         a file to start from
  dclf train --resume 3f2a91c0

Progress goes to stderr, the result to stdout; its last line is the test WF1, or with --output json one JSON object.
"""
FLAGS = ("--help", "-h", "--quiet", "--verbose", "--print-config")
VALUED = ("--resume", "--log", "--output")
RESUMABLE = ("track.uri",)
"""Options that may be given on resuming, where the run's own configuration holds."""


def main(argv: Sequence[str]) -> int:
    """Train as the command line says, and return the exit code."""
    return read(argv).run()


def read(argv: Sequence[str]) -> TrainRequest:
    """Return what the command line asks for.

    Raises:
        ConfigError: with every mistake at once.
        SystemExit: help was asked for, or an option is wrong.
    """
    rest, overrides, mistakes = split_overrides(argv, FLAGS, VALUED)
    options = build_parser(with_keys=not {"-h", "--help"}.isdisjoint(rest)).parse_args(rest)
    if options.resume is not None:
        mistakes += _needless(options.config, overrides)
        if options.print_config:
            mistakes.append("--print-config: must be left out with --resume; a run keeps its configuration in MLflow")
    check_values = not options.print_config and options.resume is None
    with told_with(mistakes):
        config, problems, _ = read_config(options.config, overrides, values=check_values)
        if problems:
            raise ConfigError(problems)
    return TrainRequest(argv, options, config)


@dataclass(frozen=True)
class TrainRequest:
    """A run to train, or to go on with.

    Attributes:
        arguments: of the command.
        options: its own options.
        config: of the run; what was said beside the run's own where that is gone on with.
    """

    arguments: Sequence[str]
    options: Namespace
    config: Config

    def run(self) -> int:
        """Train, or print the configuration, and return the exit code."""
        options, config = self.options, self.config
        if options.print_config:
            sys.stdout.write(annotated_yaml(config))
            return 0
        return _train(config, options)

    def job(self, _study: str) -> JobCommand:
        """See ``tune.commands.request.Request``."""
        from cluster.jobs.node_check import Needs  # noqa: PLC0415 - it brings Ray
        from dclf.data.storage import absolute  # noqa: PLC0415
        from tune.commands import job_words as words  # noqa: PLC0415
        from tune.commands.request import config_files  # noqa: PLC0415

        tracking, uri = words.tracking_place(self.config), words.absolute_database(self.config.track.uri)
        if self.options.resume is not None:
            again = ("train", *words.with_values(self.arguments, tracking))
            return words.JobCommand(again, "", Needs(), uri, run=self.options.resume, again=again)
        shards, storage = absolute(self.config.data.shards), absolute(self.config.train.storage)
        places = {words.SHARDS: shards, words.CHECKPOINTS: storage}
        command = ("train", *words.with_values(self.arguments, places | tracking))
        needs = Needs((shards,), {words.CHECKPOINTS: storage})
        return words.JobCommand(command, "", needs, uri, config_files(self.options.config))


def _train(config: Config, options: Namespace) -> int:
    renderer = choose_renderer(options.log, quiet=options.quiet)
    try:
        with renderer:
            # Imported here: help and configuration errors do not wait for Ray and MLflow, and the panel shows the wait.
            with renderer.importing():
                from tune.runs import train  # noqa: PLC0415

            run = train(config, resume=options.resume, listeners=[renderer], verbose=options.verbose)
    except (KeyboardInterrupt, SystemExit):
        if renderer.run_finished:
            print("dclf: the run has finished; MLflow may lack its figures and its model", file=sys.stderr)
        elif renderer.run is not None:
            from tune.tracking.address import resume_command  # noqa: PLC0415 - it has been imported by now

            # A resumed run's own configuration may name another store than the one it was found in.
            again = resume_command(renderer.run.run_id, config.track.uri)
            print(f"dclf: cut short; go on with: {again}", file=sys.stderr)
        raise
    # A resumed run brings its own configuration.
    trained = config if renderer.run is None else renderer.run.config
    print_run(run, trained, as_json=options.output == "json" or options.log == "jsonl")
    where = store_option(config.track.uri)
    print_next(
        options,
        run_line("perturb", run.run_id, where),
        run_line("evaluate", run.run_id, where, "--split val"),
        run_line("runs", uri=where),
        run_line("ui", uri=where),
    )
    return 0


def build_parser(*, with_keys: bool) -> ArgumentParser:
    """Return a parser with the options of the command, and for its help with all keys of the configuration."""
    parser = command_parser("dclf train", "Train a model and score it once on the test split.", EXAMPLES)
    parser.usage = "dclf train [CONFIG] [--section.key VALUE ...] [options]\n       dclf train --resume RUN [options]"
    add_config_argument(parser)
    parser.add_argument("--resume", metavar="RUN", help="go on with a run that was cut short: its id or name")
    add_log_options(parser)
    parser.add_argument("--print-config", action="store_true", help="print the whole configuration as YAML and stop")
    add_output_option(parser)
    if with_keys:
        _add_keys(parser)
    return parser


def _add_keys(parser: ArgumentParser) -> None:
    """List the configuration's keys in the help, a group per section."""
    docs, sections = field_docs(), Config().to_dict()
    for section, defaults in sections.items():
        if section in config_types():
            continue
        group = parser.add_argument_group(f"{section}: {docs[section].rstrip('.')}")
        for name, default in defaults.items():
            key = f"{section}.{name}"
            text = f"{docs[key]} [{describe(config_types()[key])}]"
            value = flow(default) if default not in ("", {}) else None
            group.add_argument(f"--{key}", metavar=name.upper(), default=value, help=text)


def _needless(config: str | None, overrides: dict[str, str]) -> list[str]:
    """What contradicts the configuration that a resumed run brings along."""
    extra = [key for key in overrides if key not in RESUMABLE]
    needless = ([f"CONFIG {config}"] if config else []) + extra
    return [f"{what}: must be left out with --resume; a run goes on with its own configuration" for what in needless]
