from typing import Any

import pytest

from cluster.driver import Driver, Hooks


class Leaving:
    """A trainer that ends its thread in the way that only ``BaseException`` catches."""

    def fit(self) -> Any:
        raise SystemExit("a library has had enough")


@pytest.mark.timeout(30)
def test_whatever_ends_the_fit_is_raised_where_somebody_waits() -> None:
    hooks = Hooks(*[lambda _: None] * 3)
    with pytest.raises(SystemExit, match="had enough"):
        Driver(hooks).run(lambda _: Leaving())  # type: ignore[arg-type,return-value]
