import pytest

from dclf.config import Config, DataConfig, TrackConfig, TrainConfig
from dclf.labels import LONGEST_EXPERIMENT, LONGEST_NAME, LONGEST_TAG, label_problems, quoted_value


@pytest.mark.parametrize(
    ("experiment", "must"),
    [
        ("", "must be the name of an experiment, is ''"),
        ("  ", "must be the name of an experiment, is '  '"),
        ("x" * 3000, "must have at most 250 bytes, has 3000: 'xxx"),
        ("ü" * 126, "must have at most 250 bytes, has 252: 'üüü"),
        ("two\nlines", "must be one line without control characters, is 'two\\nlines'"),
        ("nul\0", "must be one line without control characters, is 'nul\\x00'"),
        ("\udce4", "must be one line without control characters, is '\\udce4'"),
    ],
)
def test_experiments_that_are_refused(experiment: str, must: str) -> None:
    (problem,) = label_problems(experiment, "", {})
    assert problem.startswith(f"track.experiment: {must}")


@pytest.mark.parametrize(
    ("name", "must"),
    [
        (" ", "must be a name, or empty"),
        ("x" * 251, "must have at most 250 characters, has 251: 'xxx"),
        ("a\tb", "must be one line without control characters"),
    ],
)
def test_run_names_that_are_refused(name: str, must: str) -> None:
    (problem,) = label_problems("dclf", name, {})
    assert problem.startswith(f"track.name: {must}")


@pytest.mark.parametrize(
    ("tag", "problem"),
    [
        ("a?b", "track.tags.a?b: a tag's name must have letters, digits, and"),
        ("", "track.tags.'': a tag's name must have letters"),
        ("a\n", "track.tags.'a\\n': a tag's name must have letters"),
        ("..", "track.tags...: a tag's name must not look like a path"),
        ("../up", "track.tags.../up: a tag's name must not look like a path"),
        ("/root", "track.tags./root: a tag's name must not look like a path"),
        ("a//b", "track.tags.a//b: a tag's name must not look like a path"),
        ("a/", "track.tags.a/: a tag's name must not look like a path"),
        ("x" * 251, "track.tags.'xxx"),
        (
            "seed",
            "track.tags.seed: must have another name; seed, host, command, dclf.*, mlflow.*, version.*, hardware.*",
        ),
        ("mlflow.runName", "track.tags.mlflow.runName: must have another name"),
        ("dclf.trial", "track.tags.dclf.trial: must have another name"),
        ("version.torch", "track.tags.version.torch: must have another name"),
    ],
)
def test_tag_names_that_are_refused(tag: str, problem: str) -> None:
    (message,) = label_problems("dclf", "", {tag: "value"})
    assert message.startswith(problem)


@pytest.mark.parametrize(
    ("value", "must"),
    [("x" * 8001, "at most 8000 characters, has 8001"), ("\0", "text that UTF-8"), ("\udce4", "text")],
)
def test_tag_values_that_are_refused(value: str, must: str) -> None:
    (message,) = label_problems("dclf", "", {"purpose": value})
    assert message.startswith(f"track.tags.purpose: must {'have' if 'at most' in must else 'be'} {must}")


def test_what_is_taken_to_its_limits() -> None:
    tags = {"x" * LONGEST_NAME: "y" * LONGEST_TAG, "für/a:b c-d.e_f": "two\nlines", "host.name": "", "seeds": "3"}
    assert list(label_problems("x" * LONGEST_EXPERIMENT, "ü" * LONGEST_NAME, tags)) == []


def test_they_come_with_all_other_mistakes() -> None:
    track = TrackConfig(experiment="", name="\n", tags={"a?": "", "host": "", "b": ""})
    problems = Config(data=DataConfig(shards="x"), train=TrainConfig(seed=2**63, epochs=0), track=track).problems()
    assert [problem.partition(":")[0] for problem in problems] == [
        "train.epochs",
        "train.seed",
        "track.experiment",
        "track.name",
        "track.name",
        "track.tags.a?",
        "track.tags.host",
    ]


@pytest.mark.parametrize("seed", [-1, 2**63, 10**30])
def test_seeds_that_are_refused(seed: int) -> None:
    problems = Config(data=DataConfig(shards="x"), train=TrainConfig(seed=seed)).problems()
    assert problems == [f"train.seed: must be 0 or more and below 2^63, is {seed}"]


def test_long_values_are_cut_short_in_messages() -> None:
    assert quoted_value("short") == "'short'"
    assert len(quoted_value("x" * 10_000)) < 70
