"""``dclf perturb``: what a finished run's model loses under substituted contexts and damaged modalities."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from jsonargparse import ArgumentParser, Namespace

from tune.commands.options import LOGS, add_output_option, command_parser, print_json
from tune.config_files import ConfigError

if TYPE_CHECKING:
    from tune.perturbations import PerturbationTest
    from tune.perturbed.settings import PerturbationSettings

DESCRIPTION = """\
Score a finished run's best model again with every context replaced by utterances of other dialogues: with the same
emotions (ECCS) or other ones (EICS), as Tables 1 and 6 of the paper do; or with missing and noisy modalities. Every
model meets the same substitutions. Results go to files and to the run in MLflow.
"""
EXAMPLES = """\
examples:
  dclf perturb 3f2a91c0
  dclf perturb mmgcn-iemocap --draws 10 --split val --output json
  dclf perturb 3f2a91c0 --corrupt text:noise,audio:missing         10, 20 .. 90 % of the utterances
  dclf perturb 3f2a91c0 --kinds none --corrupt text:missing:50

Progress goes to stderr, the table to stdout. docs/perturbations.md has the files and the numbers' meaning.
"""


def main(argv: Sequence[str]) -> int:
    """Test as the command line says; the exit code."""
    options = parser().parse_args(argv)
    settings = read_settings(options)
    from tune.commands.perturb_views import choose_perturbation_view  # noqa: PLC0415 - help does not wait

    with choose_perturbation_view(options.log, quiet=options.quiet) as view:
        # Imported here: the view shows the wait for torch and MLflow.
        from tune.perturbations import OUT, perturb  # noqa: PLC0415

        places = {"uri": options.uri, "shards": options.shards, "out": options.out or OUT}
        done = perturb(options.run, settings, view=view, **places)
    if options.output == "json" or options.log == "jsonl":
        print_json({**done.report.to_dict(), "results": str(done.results), "substitutions": str(done.substitutions)})
    else:
        print(*result_lines(done), sep="\n", flush=True)
    return 0


def parser() -> ArgumentParser:
    """The options of the command."""
    made = command_parser("dclf perturb", DESCRIPTION, EXAMPLES)
    made.add_argument("run", help="id or name of the run")
    made.add_argument("--kinds", default="eccs,eics", help="substitutions: eccs, eics, both with a comma, or none")
    made.add_argument("--draws", type=int, default=5, help="draws of each kind; mean and deviation are over them")
    made.add_argument("--split", choices=("val", "test"), default="test", help="the split to score")
    made.add_argument("--seed", type=int, default=0, help="of the suite: the same seed is the same substitutions")
    made.add_argument(
        "--corrupt",
        default="none",
        metavar="MODALITY:DAMAGE[:PERCENT],...",
        help="damage: missing or noise; at 10, 20 .. 90 %% of the utterances unless a percent is given",
    )
    made.add_argument("--shards", help="shards to score; those of the run where absent")
    made.add_argument("--out", default="", help="folder for substitutions and results; dclf-runs/perturbations else")
    made.add_argument("--uri", default="", help="MLflow tracking URI; as track.uri of dclf train where absent")
    made.add_argument("--log", choices=LOGS, default="auto", help="progress: live on a terminal, plain lines elsewhere")
    made.add_argument("--quiet", action="store_true", help="as --log quiet: the result only")
    add_output_option(made)
    return made


def read_settings(options: Namespace) -> PerturbationSettings:
    """The settings that the options ask for.

    Raises:
        ConfigError: lists every impossible value.
    """
    # Imported here, so that help does not wait for torch.
    from tune.commands.perturb_options import read_corruptions, read_kinds  # noqa: PLC0415
    from tune.perturbed.settings import PerturbationSettings  # noqa: PLC0415

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
    if found:
        raise ConfigError(found)
    return settings


def result_lines(done: PerturbationTest) -> Iterator[str]:
    """Tables and places for a terminal."""
    from tune.commands.study_tables import aligned  # noqa: PLC0415 - help does not wait
    from tune.perturbed.tables import tables  # noqa: PLC0415

    for table in tables(done.report):
        yield table.title
        yield from aligned([table.head, *table.rows], right=range(table.numeric, len(table.head)))
        yield ""
    yield f"results        {done.folder}"
    yield f"substitutions  {done.substitutions}"
