"""The ``dclf`` command.

Exit codes: 0 done, 1 the work failed or most trials of a study did, 2 wrong usage or configuration, 130 interrupted
(Ctrl-C), 143 ended by SIGTERM, 129 by SIGHUP.
"""

from __future__ import annotations

import sys
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NoReturn

from cluster.proxies import bypass_proxy_on_loopback
from cluster.signals import Terminated, termination_raises
from dclf import __version__
from dclf.errors import UsageError, UserError, WorkError
from tune.commands.dispatch import Command, dispatch
from tune.commands.spelling import spelled, without_debug
from tune.commands.streams import open_streams, output_error
from tune.progress.log_messages import message_to_stderr, messages_to
from tune.tracking.manners import mlflow_settings

COMMANDS = {
    "data": Command("generate, import, inspect and validate Arrow shards", "tune.commands.data:main"),
    "train": Command("train a model, or resume a run", "tune.commands.train:main"),
    "plan": Command("what a sweep, study file, ablation or grid would run, and how long", "tune.commands.plan:main"),
    "sweep": Command("search configurations for the best validation score", "tune.commands.sweep:main"),
    "ablate": Command(
        "train without parts of the framework, and test what they are worth", "tune.commands.ablate:main"
    ),
    "grid": Command("train every combination of values, and compare them on test", "tune.commands.grid:main"),
    "study": Command("run a study file: variants, seeds and evaluations as YAML", "tune.commands.study:main"),
    "leaderboard": Command("base models without and with DCLF, in one table", "tune.commands.leaderboard:main"),
    "reproduce": Command("the paper's tables and figures, measured, on one page", "tune.commands.reproduce:main"),
    "resume": Command("go on with a sweep that was cut short", "tune.commands.resume:main"),
    "list": Command("the studies there are, and how far they are", "tune.commands.list_studies:main"),
    "runs": Command("the trainings there are, and what they reached", "tune.commands.runs:main"),
    "compare": Command("what differs between runs, down to the utterances", "tune.commands.compare:main"),
    "show": Command("one study: best trials, failures, how to go on", "tune.commands.show_study:main"),
    "report": Command("write the report of a study", "tune.commands.report_study:main"),
    "doctor": Command("find and mend what a kill left behind", "tune.commands.doctor:main"),
    "gc": Command("delete checkpoints that nobody needs any more", "tune.commands.gc:main"),
    "evaluate": Command("score a finished run on a split", "tune.commands.evaluate:main"),
    "predict": Command("emotions of conversations that nobody labelled", "tune.commands.predict:main"),
    "perturb": Command("score trained models under perturbed conversations", "tune.commands.perturb:main"),
    "cluster": Command("a local cluster of Ray nodes with an MLflow server, for trying", "tune.commands.cluster:main"),
    "submit": Command("run a command as a job of a Ray cluster", "tune.commands.submit:main"),
    "jobs": Command("the jobs of a Ray cluster", "tune.commands.jobs:main"),
    "logs": Command("what a job has written; -f follows it", "tune.commands.jobs:logs_main"),
    "stop": Command("stop a job", "tune.commands.jobs:stop_main"),
    "ui": Command("show the runs in the MLflow UI", "tune.commands.ui:main"),
    "dashboard": Command("show a study in optuna-dashboard", "tune.commands.dashboard:main"),
    "track": Command("send metrics kept while the MLflow server was away", "tune.commands.track:main"),
    "completion": Command("print what completes dclf's words in a shell", "tune.commands.completion:main"),
    "version": Command("print the version", "tune.commands.main:version"),
}
EXAMPLES = """\
examples:
  dclf data generate shards/demo --preset iemocap --dialogues 60
  dclf train iemocap --data.shards shards/demo --train.epochs 20
  dclf ui

Every command has its own help: dclf train --help.
Options of all commands: --debug shows the traceback of an error.
"""
FAILED, USAGE, INTERRUPTED = 1, 2, 130
EXPECTED = (ValueError, OSError, RuntimeError, ArithmeticError)
"""What the project raises for wrong input, a surrounding that fails, and training that fails."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code; mistakes become one message on stderr.

    Args:
        argv: arguments without the program's name; the process's own where None.
    """
    arguments = list(sys.argv[1:] if argv is None else argv)
    arguments, debug = without_debug(arguments)
    arguments = spelled(arguments)
    summary = "Dual contrastive learning for emotion recognition in conversation."
    return run_command(lambda: dispatch("dclf", summary, COMMANDS, arguments, epilog=EXAMPLES), debug=debug)


def run_command(work: Callable[[], int], *, debug: bool = False) -> int:
    """Do the work of a command and return its exit code; mistakes become one message on stderr.

    Args:
        work: returns the exit code.
        debug: show the traceback of an error.
    """
    bypass_proxy_on_loopback()
    try:
        with mlflow_settings(), termination_raises(), messages_to(message_to_stderr):
            return work()
    except Terminated as request:
        print(f"dclf: ended by {request}", file=sys.stderr)
        return _code(request)
    except SystemExit as request:
        return _code(request)
    except KeyboardInterrupt:
        print("dclf: interrupted", file=sys.stderr)
        return INTERRUPTED
    except EXPECTED as error:
        if debug:
            traceback.print_exc()
        return _explain(error)


def console() -> NoReturn:
    """Run the program ``dclf`` and exit; an output that could not be written is an error of its own.

    A class path may name a module in the folder it is called from, as for ``python -m``: last of all places, so that
    no installed package is hidden by a file there. Ray's workers look there by themselves.
    """
    if "" not in sys.path and (here := str(Path.cwd())) not in sys.path:
        sys.path.append(here)
    open_streams()
    code = main()
    if (error := output_error()) is not None:
        print(f"dclf: error: standard output: {error.strerror}", file=sys.stderr)
        code = code or FAILED
    sys.exit(code)


def version(argv: Sequence[str]) -> int:
    """Print the version, as ``dclf --version`` does."""
    if argv:
        from tune.commands.options import command_parser  # noqa: PLC0415 - the version itself does not wait for it

        command_parser("dclf version", "Print the version of dclf.").parse_args(argv)
    print(f"dclf {__version__}")
    return 0


def _code(request: SystemExit) -> int:
    if isinstance(request.code, str):
        print(request.code, file=sys.stderr)
        return FAILED
    return request.code or 0


def _explain(error: Exception) -> int:
    # Imported here, where the command that failed has paid for it already.
    from tune.config.yaml_files import ConfigError  # noqa: PLC0415

    problems = error.problems if isinstance(error, ConfigError) else [str(error) or type(error).__name__]
    print(*(f"dclf: error: {problem}" for problem in problems), sep="\n", file=sys.stderr)
    return exit_code(error)


def exit_code(error: Exception) -> int:
    """``USAGE`` for what was asked for and cannot be, ``FAILED`` for work and surroundings that fail."""
    from tune.study.ledger import LedgerError  # noqa: PLC0415 - as above
    from tune.study.locks import HeldElsewhereError  # noqa: PLC0415
    from tune.study.places import StudyUnavailableError  # noqa: PLC0415

    if isinstance(error, WorkError | StudyUnavailableError | HeldElsewhereError | LedgerError):
        return FAILED
    wrong_value = isinstance(error, UserError) and isinstance(error, ValueError)
    return USAGE if wrong_value or isinstance(error, UsageError) else FAILED
