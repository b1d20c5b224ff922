import math

import pytest

from tune.report.tables import spoken


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.44, "0.4 s"), (48.2, "48 s"), (123, "2:03 min"), (3723, "1:02:03 h"), (math.nan, "–")]
)
def test_times(seconds: float, text: str) -> None:
    assert spoken(seconds) == text
