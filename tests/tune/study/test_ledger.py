import json
import threading
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tune.study.ledger import Ledger, LedgerError

values = (
    st.floats(0, 1) | st.integers(0, 30) | st.sampled_from(["mmgcn", "ä}", "a\nb", "\x18"]) | st.lists(st.booleans())
)
params = st.dictionaries(st.sampled_from(["loss.gamma_ca", "model.options", "model.name"]), values | st.just({"a": {}}))
events = st.one_of(
    st.tuples(st.just("create"), params),
    st.tuples(st.just("start"), st.text(max_size=3)),
    st.tuples(st.just("run"), st.integers(0, 2)),
    st.tuples(st.just("seed_done"), st.integers(0, 2)),
    st.tuples(st.just("end"), st.sampled_from(["complete", "pruned", "failed"])),
    st.tuples(st.just("note"), st.sampled_from(["begin", "parent"])),
)
histories = st.lists(st.tuples(events, st.integers(0, 3)), min_size=1, max_size=12)
any_ledger = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)


def write(ledger: Ledger, event: tuple[str, Any], which: int) -> None:
    """One line; those of a trial go to one that is there."""
    kind, what = event
    if kind == "create":
        ledger.create(what, optuna=which)
    elif kind == "note":
        ledger.note(what, run_id="3f2a")
    elif ledger.trials:
        number = which % len(ledger.trials)
        actions = {
            "start": lambda: ledger.start(number, what),
            "run": lambda: ledger.run(number, what, f"run-{what}"),
            "seed_done": lambda: ledger.seed_done(number, what, (0.5, 0.25), 3),
            "end": lambda: ledger.end(number, what, (0.5,), "why }"),
        }
        actions[kind]()


def written(path: Path, history: list[tuple[tuple[str, Any], int]]) -> list[dict[str, Any]]:
    """Write a ledger; what it amounted to before the first line and after each."""
    path.unlink(missing_ok=True)
    ledger = Ledger(path)
    states = [state(ledger)]
    for event, which in history:
        write(ledger, event, which)
        states.append(state(ledger))
    return states


def state(ledger: Ledger) -> dict[str, Any]:
    return {"trials": dict(ledger.trials), "notes": list(ledger.notes), "worked_s": round(ledger.worked_s, 6)}


@any_ledger
@given(history=histories)
def test_what_is_read_is_what_was_written(tmp_path: Path, history: list[tuple[tuple[str, Any], int]]) -> None:
    states = written(tmp_path / "ledger.jsonl", history)
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
    states = written(path, history)
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
    written(path, history)
    lines = path.read_bytes().splitlines(keepends=True)
    place = data.draw(st.integers(0, len(lines) - 1))
    lines[place] = lines[place][:9] + b"#" + lines[place][10:]
    path.write_bytes(b"".join(lines))
    with pytest.raises(LedgerError, match=f"ledger.jsonl:{place + 1}: must be a JSON line"):
        Ledger(path)


def test_a_line_that_a_full_disk_cut_off_is_passed_over_by_the_same_writer(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "ledger.jsonl")
    ledger.create({"loss.window": 3})
    begun = ledger.path.read_bytes()
    ledger.path.unlink()
    ledger.path.symlink_to("/dev/full")
    with pytest.raises(OSError, match="No space left"):
        ledger.start(0, "ray")
    ledger.path.unlink()
    ledger.path.write_bytes(begun + b'{"event": "started", "params": {}')
    assert ledger.trials[0].state == "waiting"
    again = Ledger(ledger.path)
    again.end(0, "failed", reason="full disk")
    assert Ledger(ledger.path).trials[0] == again.trials[0]
    assert again.trials[0].state == "failed"


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


def test_time_between_sessions_is_no_work(tmp_path: Path) -> None:
    path = tmp_path / "ledger.jsonl"
    times = [(100, "begin"), (110, "x"), (130, "x"), (500, "begin"), (507, "x")]
    path.write_text("".join(json.dumps({"event": "note", "time": t, "kind": kind}) + "\n" for t, kind in times))
    assert Ledger(path).worked_s == 37
