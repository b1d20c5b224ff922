"""What the base models' Config classes refuse, and what of NumPy's they take."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from dclf.models.options import require_size, require_window


@pytest.mark.parametrize("kind", [int, np.int64, np.int32, np.uint8])
def test_whole_numbers_of_python_and_numpy_are_sizes(kind: Any) -> None:
    require_size(hidden=kind(3))
    require_window(past=kind(1), future=kind(0))


@pytest.mark.parametrize("value", [True, 2.0, np.float32(2), "2", np.int64(0)])
def test_a_size_that_is_none_is_named(value: Any) -> None:
    with pytest.raises(ValueError, match="hidden must be a whole number of 1 or more, is "):
        require_size(hidden=value)
    with pytest.raises(ValueError, match="past must be a whole number of 1 or more, is "):
        require_window(past=value, future=0)
