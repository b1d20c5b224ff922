"""Every sampler runs, repeats itself with its seed, and does not after a resumption; impossible pairings are said."""

import itertools
from typing import Any

import optuna
import pytest
from optuna.trial import TrialState, create_trial

from tests.tune.search.samples import BASE
from tune.config.sweep_settings import SweepSettings
from tune.search.grid import UncountableError
from tune.search.samplers import exhausted, make_sampler, sampler_name_problems, sampler_problems, search_seed
from tune.search.space import Space, default_space

SMALL = Space.of(
    {
        "loss.gamma_ca": {"low": 0, "high": 1, "step": 0.25},
        "loss.window": {"low": 2, "high": 4, "int": True},
        "loss.denominator": {"choices": ["negatives", "all"]},
    }
)
CONDITIONAL = Space.of(
    {
        "loss.gamma_ca": {"low": 0, "high": 1, "step": 0.25},
        "loss.window": {"low": 2, "high": 6, "int": True},
        "loss.ablate": {"choices": ["none", "no_mccl"]},
        "loss.gamma_mc": {"low": 0, "high": 1, "step": 0.5, "when": {"loss.ablate": "none"}},
    }
)
SAMPLERS = ("tpe", "gp", "cmaes", "random", "grid", "nsga2")
ONE = {"wf1": "maximize"}
TWO = {"wf1": "maximize", "wa": "minimize"}


def study_of(settings: SweepSettings, space: Space, past_trials: int = 0) -> optuna.Study:
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    sampler = make_sampler(settings, space, search_seed(settings, past_trials))
    return optuna.create_study(sampler=sampler, directions=list(settings.objectives.values()))  # type: ignore[arg-type]


def score(overrides: dict[str, Any]) -> float:
    return -((overrides["loss.gamma_ca"] - 0.5) ** 2) - (overrides["loss.window"] - 3) ** 2 / 100


def run(study: optuna.Study, space: Space, trials: int) -> list[dict[str, Any]]:
    """Ask and tell with two trials in flight, as a sweep does."""
    waiting: list[tuple[optuna.Trial, dict[str, Any]]] = []
    suggestions = []
    for _ in range(trials):
        trial = study.ask()
        waiting.append((trial, space.suggest(trial)))
        suggestions.append(waiting[-1][1])
        if len(waiting) == 2:
            first, overrides = waiting.pop(0)
            study.tell(first, [score(overrides), overrides["loss.window"]][: len(study.directions)])
    return suggestions


@pytest.mark.parametrize("space", [SMALL, CONDITIONAL], ids=["plain", "conditional"])
@pytest.mark.parametrize("sampler", SAMPLERS)
def test_a_seed_fixes_what_is_suggested(sampler: str, space: Space) -> None:
    settings = SweepSettings(trials=8, sampler=sampler, startup_trials=4)
    first = run(study_of(settings, space), space, 8)
    assert run(study_of(settings, space), space, 8) == first
    assert all(space.values_of(overrides) == overrides for overrides in first)
    other = SweepSettings(trials=8, sampler=sampler, startup_trials=4, seed=1)
    assert run(study_of(other, space), space, 4) != first[:4]


@pytest.mark.parametrize("sampler", ["tpe", "gp", "random", "grid", "nsga2"])
def test_samplers_for_several_objectives(sampler: str) -> None:
    settings = SweepSettings(trials=8, sampler=sampler, startup_trials=4, objectives=TWO, scheduler="none")
    assert sampler_problems(settings, SMALL) == []
    assert len(run(study_of(settings, SMALL), SMALL, 8)) == 8


@pytest.mark.parametrize("sampler", ["tpe", "gp", "cmaes", "random", "nsga2"])
def test_a_resumed_search_draws_anew_and_repeatably(sampler: str) -> None:
    space = default_space()
    settings = SweepSettings(trials=12, sampler=sampler, startup_trials=12)
    before = run(study_of(settings, space), space, 5)
    after = run(study_of(settings, space, past_trials=5), space, 5)
    assert run(study_of(settings, space, past_trials=5), space, 5) == after
    assert not any(overrides in before for overrides in after)


@pytest.mark.parametrize("name", ["optuna.samplers:QMCSampler", f"{__name__}:last_first"])
def test_samplers_of_others_are_called_with_the_seed(name: str) -> None:
    settings = SweepSettings(trials=6, sampler=name)
    assert [*sampler_name_problems(settings), *sampler_problems(settings, SMALL)] == []
    first = run(study_of(settings, CONDITIONAL), CONDITIONAL, 6)
    assert run(study_of(settings, CONDITIONAL), CONDITIONAL, 6) == first
    assert run(study_of(SweepSettings(sampler=name, seed=1), CONDITIONAL), CONDITIONAL, 6) != first


def last_first(seed: int) -> optuna.samplers.BaseSampler:
    return optuna.samplers.RandomSampler(seed)


def without_seed() -> None: ...


def without_sampler(seed: int) -> int:
    return seed


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("without_seed", "is one that refuses: without_seed() got an unexpected keyword argument 'seed'"),
        ("without_sampler", "is one that gives 0"),
        ("SMALL", "is one that refuses: 'Space' object is not callable"),
    ],
)
def test_what_gives_no_sampler_is_refused(name: str, words: str) -> None:
    (problem,) = sampler_name_problems(SweepSettings(sampler=f"{__name__}:{name}"))
    assert problem.startswith(f"sweep.sampler: '{__name__}:{name}' must be a class or function that gives an Optuna")
    assert problem.endswith(words)


@pytest.mark.parametrize("space", [SMALL, CONDITIONAL], ids=["plain", "conditional"])
def test_the_grid_tries_every_combination_once_across_resumptions(space: Space) -> None:
    settings = SweepSettings(trials=0, sampler="grid")
    study = study_of(settings, space)
    start = space.grid[3]
    study.enqueue_trial(space.params_of(start))
    suggestions = run(study, space, 7)
    study.sampler = make_sampler(settings, space, search_seed(settings, 7))
    while not exhausted(study):
        suggestions += run(study, space, 1)
    assert suggestions[0] == start
    every = [space.grid[index] for index in range(len(space.grid))]
    assert sorted(map(repr, suggestions)) == sorted(map(repr, every))
    trial = study.ask()
    with pytest.raises(ValueError, match=f"all {space.size} combinations of the grid are tried"):
        space.suggest(trial)


def test_the_grid_spreads_and_comes_back_to_what_was_asked_for_and_never_tried() -> None:
    settings = SweepSettings(sampler="grid")
    study = study_of(settings, SMALL)
    first = run(study, SMALL, 6)
    assert len({overrides["loss.gamma_ca"] for overrides in first}) > 2
    lost = SMALL.suggest(study.ask())
    again = study_of(settings, SMALL, past_trials=7)
    again.add_trials(study.get_trials()[:6])
    again.add_trial(create_trial(state=TrialState.FAIL))
    assert run(again, SMALL, 1) == [lost]


def test_a_large_grid_is_never_laid_out() -> None:
    keys = ("loss.gamma_ca", "loss.gamma_mc", "loss.unimodal_weight", "train.clip_norm", "train.weight_decay")
    space = Space.of({key: {"low": 0, "high": 1, "step": 0.001} for key in keys})
    assert space.size == 1001**5
    study = study_of(SweepSettings(sampler="grid"), space)
    suggestions = [space.suggest(study.ask()) for _ in range(20)]
    assert all(one != other for one, other in itertools.combinations(suggestions, 2))


def test_a_grid_needs_steps() -> None:
    with pytest.raises(UncountableError, match=r"loss\.temperature has no step, it can be a number from 0\.02 to 0\.5"):
        make_sampler(SweepSettings(sampler="grid"), default_space(), 0)


CHOICES_ONLY = Space.of(
    {"loss.pairs": {"choices": ["bank", "batch"]}, "loss.window": {"low": 2, "high": 4, "int": True}}
)


@pytest.mark.parametrize(
    ("settings", "space", "lines"),
    [
        (SweepSettings(), CONDITIONAL, []),
        (SweepSettings(sampler="cmaes"), default_space(), []),
        (
            SweepSettings(sampler="cmaes", objectives=TWO, scheduler="none"),
            default_space(),
            ["sweep.sampler: cmaes knows one objective only; use tpe, gp or nsga2, or leave one objective"],
        ),
        (
            SweepSettings(objectives=TWO),
            SMALL,
            ["sweep.scheduler: asha compares trials by one objective, there are 2; write scheduler: none"],
        ),
        (
            SweepSettings(objectives=TWO, scheduler="pbt"),
            SMALL,
            ["sweep.scheduler: pbt compares trials by one objective, there are 2; write scheduler: none"],
        ),
        (
            SweepSettings(sampler="cmaes"),
            CHOICES_ONLY,
            [
                "sweep.sampler: cmaes needs two numeric parameters without conditions, has loss.window; use tpe",
            ],
        ),
        (
            SweepSettings(sampler="grid"),
            default_space(),
            [
                (
                    "sweep.sampler: grid needs countable values: loss.temperature has no step, it can be "
                    "a number from 0.02 to 0.5; give it step or choices"
                )
            ],
        ),
        (
            SweepSettings(scheduler="pbt", trials=0, time="1h", seeds=2),
            SMALL,
            [
                "sweep.trials: must be the size of the population with scheduler pbt, is 0",
                "sweep.seeds: must be 1 with scheduler pbt, whose trials take over weights, is 2",
            ],
        ),
        (
            SweepSettings(scheduler="pbt"),
            CONDITIONAL,
            [
                (
                    "sweep.space.loss.ablate: cannot be searched with scheduler pbt: a trial takes over another's "
                    "weights, which must have the same shapes"
                ),
                "sweep.space.loss.gamma_mc: must have no condition with scheduler pbt, which changes every parameter",
            ],
        ),
    ],
)
def test_pairings_that_cannot_work(settings: SweepSettings, space: Space, lines: list[str]) -> None:
    assert sampler_problems(settings, space.based_on(BASE)) == lines
