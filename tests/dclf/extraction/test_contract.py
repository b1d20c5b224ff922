from importlib.metadata import version

import pytest

from dclf.extraction import EXTRACTORS, ExtractorSettings, settings_type
from dclf.extraction.visual import ImageSettings


@pytest.mark.parametrize("name", EXTRACTORS.shipped)
def test_every_extractor_names_its_packages_for_a_served_model(name: str) -> None:
    settings = settings_type(name)
    assert settings.packages is not ExtractorSettings.packages


def test_packages_have_the_names_of_distributions() -> None:
    faces = ImageSettings(model="encoder.onnx", faces=True).packages
    assert faces == ("av", "onnxruntime", "opencv-python-headless")
    assert all(map(version, faces))
    assert ImageSettings(model="encoder").packages == ("av", "transformers")
