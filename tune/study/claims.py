"""The lock of a study in a store: of all machines, one drives it.

A driver that wants the study writes a claim, an object with a name of its own, and then lists all claims. Whoever sees
another one that is alive withdraws: of two that write at the same time at least one sees the other, as stores list what
was written before. A claim is alive while it is renewed, and a killed driver's lapses; ages are taken between objects
of the store, whose clock may differ from ours.
"""

from __future__ import annotations

import json
import os
import random
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

from dclf.data.storage import Folder

RENEWED_S = 10.0
"""How often a driver renews its claim."""
LAPSES_S = 60.0
"""How long after its last renewal a claim no longer counts."""
_ATTEMPTS = 4


@dataclass(frozen=True)
class Claim:
    """A driver's claim as another process sees it.

    Attributes:
        name: of the claim's file.
        holder: the driver in words.
        age: seconds since it was renewed.
        turn: of the driver.
        process: what identifies the driver among the processes of a machine.
    """

    name: str
    holder: str
    age: float
    turn: int
    process: dict[str, Any]

    @property
    def alive(self) -> bool:
        """Whether the driver may be at work."""
        return self.age < LAPSES_S and not _known_dead(self.process)


class Claims:
    """The claims on one study.

    Args:
        folder: of the claims.
        holder: this driver in words.

    Attributes:
        held: whether the study is ours, as far as we know.
        turn: a number that is larger than that of any driver before, once the study is ours.
    """

    def __init__(self, folder: Folder, holder: str) -> None:
        self._folder = folder
        self._holder = holder
        self._own = f"{uuid4().hex}.json"
        self.held = False
        self.turn = time.time_ns() // 1_000_000

    def take(self) -> list[Claim]:
        """Be the only driver.

        Returns:
            Claims that have lapsed and were removed; where one of another driver is alive, that one alone: the study
            is not ours.
        """
        for attempt in range(_ATTEMPTS):
            self._write()
            others = [claim for claim in self._claims(self._own_time()) if claim.name != self._own]
            alive = [claim for claim in others if claim.alive]
            if not alive:
                self.held = True
                self.follow(max((claim.turn for claim in others), default=0))
                for claim in others:
                    self._folder.delete(claim.name)
                return others
            self._folder.delete(self._own)
            # Two that came at the same time have both withdrawn.
            if attempt + 1 < _ATTEMPTS:
                time.sleep(random.uniform(0.05, 0.3))  # noqa: S311 - no secret depends on it
        return alive[:1]

    def follow(self, turn: int) -> bool:
        """Have a later turn than this one, and say so before anything is written in it.

        Returns:
            Whether the study is still ours.
        """
        if turn < self.turn:
            return True
        self.turn = turn + 1
        return self.renew()

    def renew(self) -> bool:
        """Say that we are still there; False where another driver has taken the study over."""
        if not self._folder.exists(self._own):
            self.held = False
            return False
        self._write()
        return True

    def release(self) -> None:
        """Leave the study to others."""
        self.held = False
        self._folder.delete(self._own)

    def holder(self) -> str:
        """The driver at work in words, by this machine's clock; empty for none."""
        alive = [claim for claim in self._claims(time.time_ns()) if claim.alive and claim.name != self._own]
        return alive[0].holder if alive else ""

    def _write(self) -> None:
        content = {"holder": self._holder, "turn": self.turn, "process": _this_process()}
        self._folder.write_bytes(self._own, json.dumps(content).encode())

    def _own_time(self) -> int:
        facts = self._folder.files().get(self._own)
        return time.time_ns() if facts is None else facts.changed

    def _claims(self, now: int) -> Iterator[Claim]:
        for name, facts in self._folder.files().items():
            if not name.endswith(".json"):
                continue
            try:
                content = json.loads(self._folder.read_bytes(name))
            except (FileNotFoundError, ValueError):  # released in between
                continue
            age = (now - facts.changed) / 1e9
            yield Claim(name, content["holder"], age, content["turn"], content["process"])


def _this_process() -> dict[str, Any]:
    return {**_this_machine(), "pid": os.getpid(), "begun": _start_ticks(os.getpid())}


def _this_machine() -> dict[str, str]:
    """What two processes share that can see each other; empty where the system does not say."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
        return {"boot": boot, "pids": str(Path("/proc/self/ns/pid").readlink())}
    except OSError:
        return {}


def _start_ticks(pid: int) -> str:
    """When a process began, in the system's ticks; empty where there is none."""
    try:
        return Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[19]
    except (OSError, IndexError):
        return ""


def _known_dead(process: dict[str, Any]) -> bool:
    """Whether a process was on this machine and is no more."""
    here = _this_machine()
    if not here or any(process.get(key) != value for key, value in here.items()):
        return False
    return _start_ticks(int(process["pid"])) != process.get("begun")
