import json
import threading
import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tune.study.ledger import ALIVE_S, Ledger, LedgerError

values = (
    st.floats(0, 1) | st.integers(0, 30) | st.sampled_from(["mmgcn", "ä}", "a\nb", "\x18"]) | st.lists(st.booleans())
)
params = st.dictionaries(st.sampled_from(["loss.gamma_ca", "model.options", "model.name"]), values | st.just({"a": {}}))
events = st.one_of(
    st.tuples(st.just("create"), params),
    st.tuples(st.just("attrs"), st.dictionaries(st.text(max_size=3), values, max_size=2)),
    st.tuples(st.just("start"), st.text(max_size=3)),
    st.tuples(st.just("run"), st.integers(0, 2)),
    st.tuples(st.just("seed_done"), st.integers(0, 2)),
    st.tuples(st.just("end"), st.sampled_from(["complete", "pruned", "failed"])),
    st.tuples(st.just("note"), st.sampled_from(["begin", "parent", "alive"])),
)
histories = st.lists(st.tuples(events, st.integers(0, 3)), min_size=1, max_size=12)
any_ledger = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)


def write(ledger: Ledger, event: tuple[str, Any], which: int) -> None:
    """One line; those of a trial go to one that is there."""
    kind, what = event
    if kind == "create":
        ledger.create(what, optuna=which, system_attrs=what, study_attrs={f"parents:{which}": [which]})
    elif kind == "note":
        ledger.note(what, run_id="3f2a")
    elif ledger.trials:
        number = which % len(ledger.trials)
        actions = {
            "start": lambda: ledger.start(number, which),
            "run": lambda: ledger.run(number, what, f"run-{what}"),
            "seed_done": lambda: ledger.seed_done(number, what, (0.5, 0.25), 3),
            "attrs": lambda: ledger.attrs(number, what),
            "end": lambda: ledger.end(number, what, (0.5,), "why }", [0.25, None, 0.5][:which] or None),
        }
        actions[kind]()


def states_of(path: Path, history: list[tuple[tuple[str, Any], int]]) -> list[dict[str, Any]]:
    """Write a ledger; what it amounted to before the first line and after each."""
    path.unlink(missing_ok=True)
    ledger = Ledger(path)
    states = [state(ledger)]
    for event, which in history:
        write(ledger, event, which)
        states.append(state(ledger))
    return states


def state(ledger: Ledger) -> dict[str, Any]:
    return {
        "trials": dict(ledger.trials),
        "notes": list(ledger.notes),
        "study_attrs": dict(ledger.study_attrs),
        "worked_s": round(ledger.worked_s, 6),
    }


@any_ledger
@given(history=histories)
def test_what_is_read_is_what_was_written(tmp_path: Path, history: list[tuple[tuple[str, Any], int]]) -> None:
    states = states_of(tmp_path / "ledger.jsonl", history)
    assert state(Ledger(tmp_path / "ledger.jsonl")) == states[-1]


@any_ledger
@given(history=histories, more=histories, data=st.data())
def test_a_ledger_cut_at_any_byte_is_one_of_its_earlier_states_and_goes_on(
    tmp_path: Path,
    history: list[tuple[tuple[str, Any], int]],
    more: list[tuple[tuple[str, Any], int]],
    data: st.DataObject,
) -> None:
    path = tmp_path / "ledger.jsonl"
    states = states_of(path, history)
    whole = path.read_bytes() if path.exists() else b""
    for _ in range(2):
        # A share, since the file's length depends on the clock.
        cut = path.read_bytes()[: round(data.draw(st.floats(0, 1)) * len(whole))] if whole else b""
        path.write_bytes(cut)
        ledger = Ledger(path)
        if len(cut) <= len(whole) and whole.startswith(cut):
            assert state(ledger) in states
        for event, which in more:
            write(ledger, event, which)
        assert state(Ledger(path)) == state(ledger)


@any_ledger
@given(history=histories.filter(lambda history: any(event[0] == "create" for event, _ in history)), data=st.data())
def test_a_damaged_line_is_named(
    tmp_path: Path, history: list[tuple[tuple[str, Any], int]], data: st.DataObject
) -> None:
    path = tmp_path / "ledger.jsonl"
    states_of(path, history)
    lines = path.read_bytes().splitlines(keepends=True)
    place = data.draw(st.integers(0, len(lines) - 1))
    lines[place] = lines[place][:9] + b"#" + lines[place][10:]
    path.write_bytes(b"".join(lines))
    with pytest.raises(LedgerError, match=f"ledger.jsonl:{place + 1}: must be a JSON line"):
        Ledger(path)


def test_a_line_that_a_full_disk_cut_off_is_passed_over_by_the_same_writer(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "ledger.jsonl")
    ledger.create({"loss.window": 3})
    content = ledger.path.read_bytes()
    ledger.path.unlink()
    ledger.path.symlink_to("/dev/full")
    with pytest.raises(OSError, match="No space left"):
        ledger.start(0, 0)
    ledger.path.unlink()
    ledger.path.write_bytes(content + b'{"event": "started", "params": {}')
    assert ledger.trials[0].state == "waiting"
    again = Ledger(ledger.path)
    again.end(0, "failed", reason="full disk")
    assert Ledger(ledger.path).trials[0] == again.trials[0]
    assert again.trials[0].state == "failed"


def test_a_run_is_noted_once(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "ledger.jsonl")
    ledger.create({})
    for run_id in ("3f2a", "3f2a", "8e6d", "8e6d"):
        ledger.run(0, 3, run_id)
    assert ledger.lines == 3
    assert Ledger(ledger.path).trials[0].runs[3].run_id == "8e6d"


def test_many_threads_write_whole_lines(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "ledger.jsonl")
    ready = threading.Barrier(8)

    def work(thread: int) -> None:
        ready.wait()
        for place in range(10):
            number = ledger.create({"thread": thread, "place": place}).number
            ledger.run(number, 0, f"{thread}-{place}")

    threads = [threading.Thread(target=work, args=(thread,)) for thread in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    read = Ledger(ledger.path)
    assert state(read) == state(ledger)
    assert sorted(read.trials) == list(range(80))
    assert all(t.runs[0].run_id == f"{t.params['thread']}-{t.params['place']}" for t in read.trials.values())
    assert len(ledger.path.read_text().splitlines()) == 160


def ledger_of(path: Path, *lines: tuple[float, str, dict[str, Any]]) -> Ledger:
    """A ledger whose lines were written at these times."""
    events = ({"event": event, "time": when, **content} for when, event, content in lines)
    path.write_text("".join(json.dumps(line) + "\n" for line in events))
    return Ledger(path)


def note(when: float, kind: str) -> tuple[float, str, dict[str, Any]]:
    return when, "note", {"kind": kind}


def test_time_between_sessions_is_no_work(tmp_path: Path) -> None:
    times = [(100, "begin"), (110, "x"), (130, "x"), (500, "begin"), (507, "x")]
    assert ledger_of(tmp_path / "ledger.jsonl", *(note(when, kind) for when, kind in times)).worked_s == 37


def test_a_resumed_trial_did_not_run_while_no_driver_did(tmp_path: Path) -> None:
    born = {"number": 0, "params": {}, "optuna": 0, "origin": "search"}
    started, run = {"number": 0, "ray_id": "ray"}, {"number": 0, "seed": 0, "run_id": "3f2a"}
    ended = {"number": 0, "state": "complete", "values": [0.5], "reason": ""}
    ledger = ledger_of(
        tmp_path / "ledger.jsonl",
        note(100, "begin"),
        (101, "trial", born),
        (102, "started", started),
        (104, "started", started),  # after a lost worker
        note(110, "alive"),
        # Killed. What doctor, gc and the next driver write before it begins is no sign that the first one lived on.
        (900, "run", run),
        note(901, "kept"),
        note(902, "budget"),
        note(903, "parent"),
        note(904, "warm_start"),
        note(1000, "begin"),
        (1005, "started", started),
        (1015, "ended", ended),
    )
    assert ledger.trials[0].worked_s == 8 + 10
    assert ledger.worked_s == 10 + 15
    assert [one["kind"] for one in ledger.notes] == ["begin", "kept", "budget", "parent", "warm_start", "begin"]


def test_a_trial_that_ended_after_a_kill_ran_until_the_kill(tmp_path: Path) -> None:
    born = {"number": 0, "params": {}, "optuna": 0, "origin": "search"}
    done = {"number": 0, "seed": 0, "values": [0.5], "epochs": 3}
    ended = {"number": 0, "state": "complete", "values": [0.5], "reason": ""}
    lines = [note(0, "begin"), (1, "trial", born), (2, "started", {"number": 0, "ray_id": ""}), (9, "seed", done)]
    ledger = ledger_of(tmp_path / "ledger.jsonl", *lines, note(5000, "begin"), (5001, "ended", ended))
    assert ledger.trials[0].worked_s == 7


def test_a_machine_s_sleep_is_no_work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    day, awake = [1000.0], [50.0]
    monkeypatch.setattr("tune.study.ledger.time.time", lambda: day[0])
    monkeypatch.setattr("tune.study.ledger.time.monotonic", lambda: awake[0])
    ledger = Ledger(tmp_path / "ledger.jsonl")
    ledger.note("begin")
    day[0], awake[0] = day[0] + 8 * 3600, awake[0] + 10
    ledger.alive()
    day[0], awake[0] = day[0] + 5, awake[0] + 5
    ledger.create({"loss.window": 3})
    assert ledger.worked_s == Ledger(ledger.path).worked_s == 15


def test_a_sign_of_life_is_left_only_where_there_was_none_for_a_while(tmp_path: Path) -> None:
    ledger = ledger_of(tmp_path / "ledger.jsonl", note(time.time() - ALIVE_S - 1, "begin"))
    ledger.alive()
    ledger.alive()
    assert len(ledger.path.read_text().splitlines()) == 2
    assert ALIVE_S < Ledger(ledger.path).worked_s < ALIVE_S + 60
