"""How far an extraction is: counts, the rate since the first rows, and no more than an event a second."""

from tests.tune.progress.reports import Watch
from tune.progress.extraction_counter import ExtractionCounter
from tune.study.events import Event, ExtractionProgress


def test_the_rate_is_that_since_the_first_rows(watch: Watch) -> None:
    heard: list[Event] = []
    counter = ExtractionCounter("text", 1000, [heard.append], cached=90, done=100, now=watch)
    watch.time += 30  # processes start, and encoders are read
    counter.add(100)
    watch.time += 2
    counter.add(50)
    watch.time += 2
    counter.add(150)
    assert heard == [
        ExtractionProgress("text", 200, 1000, 90, 0.0),
        ExtractionProgress("text", 250, 1000, 90, 25.0),
        ExtractionProgress("text", 400, 1000, 90, 50.0),
    ]
    assert [event.seconds_left for event in heard if isinstance(event, ExtractionProgress)] == [None, 30.0, 12.0]


def test_events_come_no_oftener_than_every_second_and_at_the_end(watch: Watch) -> None:
    heard: list[Event] = []
    counter = ExtractionCounter("recordings", 40, [heard.append], now=watch)
    for _ in range(40):
        watch.time += 0.25
        counter.add()
    done = [event.done for event in heard if isinstance(event, ExtractionProgress)]
    assert done == [*range(4, 40, 4), 40]
