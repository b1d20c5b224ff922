"""What a user sees of log messages: in the form of the command's progress, or on stderr."""

import json
import logging
import os
import signal
import threading
from pathlib import Path

import pytest

from tests.tune.commands.conftest import Runs
from tests.tune.commands.terminal import Terminal
from tune.commands.main import main
from tune.progress.log_messages import LOGGERS, message_to_stderr, messages_to
from tune.study.events import Listener

Streams = pytest.CaptureFixture[str]
TRAIN = ["train", "iemocap", "--data.shards", "shards"]
SHOWN_LIVE = """\
import logging, threading
from tune.progress.forms import choose_renderer
log = logging.getLogger("tune.tracking.outbox").info
with choose_renderer("auto", quiet=False):
    thread = threading.Thread(target=log, args=("[not markup] the server is back",))
    thread.start()
    thread.join()
    input()
"""
_log = logging.getLogger("tune.tracking.outbox")


def log_in_background(text: str) -> None:
    thread = threading.Thread(target=_log.info, args=(text,))
    thread.start()
    thread.join()


@pytest.fixture
def logging_run(runs: Runs) -> Runs:
    """A training in which a background thread logs a message, and so does a library."""

    def log(_config: object, _listener: Listener) -> None:
        log_in_background("100 % of the server is back")
        logging.getLogger("library").info("an experiment was created")

    runs.behaviour = log
    return runs


def test_plain_lines_have_it_as_it_is(logging_run: Runs, capsys: Streams) -> None:
    assert main([*TRAIN, "--log", "plain"]) == 0
    assert capsys.readouterr().err.startswith("100 % of the server is back\nnext: ")


def test_json_lines_have_a_note(logging_run: Runs, capsys: Streams) -> None:
    assert main([*TRAIN, "--log", "jsonl"]) == 0
    output = capsys.readouterr()
    assert json.loads(output.out.splitlines()[0]) == {"event": "note", "text": "100 % of the server is back"}
    assert output.err == ""


def test_quiet_has_nothing(logging_run: Runs, capsys: Streams) -> None:
    assert main([*TRAIN, "--quiet"]) == 0
    assert capsys.readouterr().err == ""


def test_the_live_panel_of_a_terminal_has_it_above_itself(tmp_path: Path) -> None:
    terminal = Terminal(tmp_path, os.environ, code=SHOWN_LIVE)
    terminal.wait_for("[not markup] the server is back")
    terminal.type("\n")
    assert terminal.end() == 0
    assert terminal.shown.index("[not markup]") < terminal.shown.rindex("╭─ dclf")


def test_outside_of_a_form_it_goes_to_stderr_under_the_program_s_name(capsys: Streams) -> None:
    with messages_to(message_to_stderr):
        log_in_background("taken over")
        with messages_to(lambda _text: None):
            _log.warning("hidden")
        logging.getLogger("cluster.local.start").warning("cleared away")
        logging.getLogger("ray").warning("not ours")
        _log.debug("of no interest")
    lines = capsys.readouterr().err.splitlines()
    assert [line for line in lines if line.startswith("dclf: ")] == ["dclf: taken over", "dclf: cleared away"]


def test_afterwards_logging_is_as_it_was(runs: Runs) -> None:
    def state() -> list[tuple[list[logging.Handler], int, bool]]:
        loggers = [logging.getLogger(name) for name in LOGGERS]
        return [(list(logger.handlers), logger.level, logger.propagate) for logger in loggers]

    before = state()
    assert main([*TRAIN, "--quiet"]) == 0
    with pytest.raises(RuntimeError), messages_to(print):
        raise RuntimeError
    assert state() == before


def test_a_user_s_own_log_file_goes_on(runs: Runs, tmp_path: Path) -> None:
    runs.behaviour = lambda _config, _listener: _log.info("the server is back")
    own = logging.FileHandler(tmp_path / "own.log")
    logging.getLogger("tune").addHandler(own)
    try:
        assert main([*TRAIN, "--quiet"]) == 0
    finally:
        logging.getLogger("tune").removeHandler(own)
        own.close()
    assert (tmp_path / "own.log").read_text() == "the server is back\n"


def test_a_signal_s_message_does_not_wait_for_one_that_a_thread_is_showing() -> None:
    """The first Ctrl-C says so from a signal handler, while another thread's message may be under way."""
    messages: list[str] = []
    showing, interrupted = threading.Event(), threading.Event()

    def show(text: str) -> None:
        if text == "slow":
            showing.set()
            assert interrupted.wait(60)
        messages.append(text)

    def interrupt(_number: int, _frame: object) -> None:
        _log.info("ending")
        interrupted.set()

    before = signal.signal(signal.SIGUSR1, interrupt)
    try:
        with messages_to(show):
            thread = threading.Thread(target=_log.info, args=("slow",))
            thread.start()
            assert showing.wait(60)
            signal.raise_signal(signal.SIGUSR1)
            thread.join(60)
    finally:
        signal.signal(signal.SIGUSR1, before)
    assert messages == ["ending", "slow"]
