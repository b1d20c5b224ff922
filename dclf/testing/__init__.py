"""The contract tests of base models, importers, extractors and loss terms, for packages that bring their own.

A test module of such a package derives a class for each, and pytest runs what it inherits:

    from dclf.testing import BaseModelContract

    class TestMine(BaseModelContract):
        name = "mypackage.models:Mine"
        options = {"width": 6}

They need pytest, which ``pip install 'dclf[testing]'`` brings; nothing else in dclf imports this package.
"""

import pytest

# Before they are imported: their assertions then say what came instead.
pytest.register_assert_rewrite(
    "dclf.testing.base_models", "dclf.testing.extractors", "dclf.testing.importers", "dclf.testing.loss_terms"
)

from dclf.testing.base_models import BaseModelContract  # noqa: E402
from dclf.testing.extractors import ExtractorContract  # noqa: E402
from dclf.testing.importers import ImporterContract  # noqa: E402
from dclf.testing.loss_terms import LossTermContract  # noqa: E402

__all__ = ["BaseModelContract", "ExtractorContract", "ImporterContract", "LossTermContract"]
