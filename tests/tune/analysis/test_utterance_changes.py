from tune.analysis.utterance_changes import LabelledUtterance, changes

TARGETS = {("d1", 1): "joy", ("d1", 2): "anger", ("d2", 1): "joy", ("d2", 2): "neutral"}
UTTERANCES = {key: LabelledUtterance(speaker="0", text=f"words {key}", target=t) for key, t in TARGETS.items()}
FIRST = {("d1", 1): "joy", ("d1", 2): "joy", ("d2", 1): "joy", ("d2", 2): "anger"}
SECOND = {("d1", 1): "joy", ("d1", 2): "anger", ("d2", 1): "anger", ("d2", 2): "joy", ("d3", 1): "joy"}


def test_changes_are_counted_by_whom_they_help() -> None:
    result = changes("val", UTTERANCES, [FIRST, SECOND])
    assert (result.total, result.right, result.traded) == (4, (2, 2), (1, 1))
    assert [(one.dialogue, one.place, one.emotions) for one in result.utterances] == [
        ("d1", 2, ("joy", "anger")),
        ("d2", 1, ("joy", "anger")),
        ("d2", 2, ("anger", "joy")),
    ]
    assert result.sentence("AB") == (
        "3 of 4 utterances of val are predicted differently: 1 only B gets right, 1 only A, 1 neither"
    )
    table = result.table("AB", 2)
    assert table.rows == (
        ("d1", "2", "0", "words ('d1', 2)", "anger", "joy", "anger"),
        ("d2", "1", "0", "words ('d2', 1)", "joy", "joy", "anger"),
    )
    assert result.utterances[0].to_dict("AB")["predictions"] == {"A": "joy", "B": "anger"}


def test_of_three_models_the_right_ones_are_counted() -> None:
    result = changes("test", UTTERANCES, [FIRST, SECOND, FIRST])
    assert result.sentence("ABC") == "3 of 4 utterances of test are predicted differently; right: A 2, B 2, C 2"


def test_utterances_that_one_model_has_not_predicted_are_left_out() -> None:
    result = changes("val", UTTERANCES, [FIRST, dict.fromkeys(list(SECOND)[:2], "joy")])
    assert result.total == 2
    assert changes("val", {}, [FIRST, SECOND]).total == 0
