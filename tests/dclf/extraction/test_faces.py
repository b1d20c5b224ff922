"""Faces on a photograph that matplotlib brings along: where they are cut out, and which."""

from __future__ import annotations

import numpy as np
import pytest

from dclf.extraction.faces import FaceDetector
from tests.dclf.extraction.drawn_videos import FACE, Picture, paste, portrait

WALL = np.full((720, 960, 3), 90, dtype=np.uint8)


@pytest.fixture(scope="module")
def detector() -> FaceDetector:
    return FaceDetector(threads=1)


def assert_face_at(face: Picture | None, whole: Picture, height: int, top: int, left: int) -> None:
    """The face is that of a portrait of so many pixels, pasted at a place: within a fifth of its side."""
    assert face is not None
    assert np.shares_memory(face, whole)
    offset = (face.ctypes.data - whole.ctypes.data) // 3
    place = np.array([*divmod(offset, whole.shape[1]), len(face)])
    expected = np.array(FACE) * height / 600 + (top, left, 0)
    assert np.abs(place - expected).max() < expected[2] / 5
    assert face.shape[0] == face.shape[1]


@pytest.mark.parametrize(("height", "top", "left"), [(700, 10, 300), (400, 0, 0), (250, 400, 700)])
def test_a_face_is_cut_out_where_it_is(detector: FaceDetector, height: int, top: int, left: int) -> None:
    whole = paste(WALL, portrait(height), top, left)
    assert_face_at(detector.largest_face(whole), whole, height, top, left)


@pytest.mark.parametrize("left", [0, 600])
def test_the_largest_face_is_cut_out(detector: FaceDetector, left: int) -> None:
    whole = paste(paste(WALL, portrait(400), 100, left), portrait(300), 200, 600 - left)
    assert_face_at(detector.largest_face(whole), whole, 400, 100, left)


def test_small_pictures_are_searched_as_they_are(detector: FaceDetector) -> None:
    whole = portrait(300)
    assert_face_at(detector.largest_face(whole), whole, 300, 0, 0)


def test_no_face(detector: FaceDetector) -> None:
    assert detector.largest_face(WALL) is None
    assert detector.largest_face(WALL[:7, :9]) is None
