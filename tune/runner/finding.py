"""Something in a study's records that does not agree, and what mends it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace

from tune.tracking.trouble import cause_of, may_pass


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One disagreement.

    Attributes:
        subject: whose, such as ``trial 7``.
        problem: what does not agree.
        remedy: what ``fix`` does; what the user can do where there is none.
        fix: mends it; may be called again after a kill; None where nothing can.
    """

    subject: str
    problem: str
    remedy: str
    fix: Callable[[], None] | None = None

    @property
    def line(self) -> str:
        """In words."""
        return f"{self.subject}: {self.problem} -> {self.remedy}"


def apply_fixes(findings: Iterable[Finding]) -> tuple[list[Finding], list[Finding]]:
    """Mend what can be mended.

    A store that stops to answer ends the work: what follows would only wait for it too.

    Returns:
        what was mended, and what was not, with the reason as its remedy.
    """
    repairs: list[Finding] = []
    remaining: list[Finding] = []
    lost = ""
    for finding in findings:
        if finding.fix is None or lost:
            remaining.append(replace(finding, remedy=f"not done: {lost}") if finding.fix and lost else finding)
            continue
        try:
            finding.fix()
        except Exception as error:  # noqa: BLE001 - one that fails must not keep the others from being mended
            remaining.append(replace(finding, remedy=f"not done: {cause_of(error)}"))
            lost = cause_of(error) if may_pass(error) else ""
        else:
            repairs.append(finding)
    return repairs, remaining
