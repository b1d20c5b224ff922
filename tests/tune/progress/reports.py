"""A finished run made by hand, and a clock that tests move."""

from dclf.training.reports import EpochReport, SplitReport

CLASSES = ["happy", "sad"]


class Watch:
    """A clock that stands still until it is told."""

    def __init__(self) -> None:
        self.time = 100.0

    def __call__(self) -> float:
        return self.time


def epoch_report(epoch: int, wf1: float, best: tuple[int, float], epochs: int = 4, seconds: float = 2.0) -> EpochReport:
    return EpochReport(
        epoch=epoch,
        epochs=epochs,
        losses={"total": 1.5 / epoch, "ce": 1.0 / epoch, "ca": 0.25},
        validation={"wa": wf1, "wf1": wf1},
        best_epoch=best[0],
        best_wf1=best[1],
        seconds=seconds,
    )


def split_report(split: str, wf1: float) -> SplitReport:
    scores = {"wa": 0.75, "wf1": wf1} | {f"{kind}/{c}": 0.5 for kind in ("accuracy", "f1") for c in CLASSES}
    return SplitReport(split=split, scores=scores, confusion=[[3, 1], [1, 3]], utterances=8)
