"""The largest face of a picture, by the Haar cascade for frontal faces that comes with OpenCV 4.

H, W   height and width of a picture
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from dclf.extraction.contract import ExtractionError
from dclf.extraction.frames import Picture
from dclf.extraction.packages import require

CASCADE = "haarcascade_frontalface_default.xml"
SEARCHED = 360
"""Pixels of the shorter side of the picture that is searched; larger pictures are shrunk, as searching takes long."""
SMALLEST = 30
"""Pixels of the smallest face in the picture that is searched: a twelfth of the shorter side."""
STEP = 1.1
"""Factor from one size of faces to the next."""
NEIGHBOURS = 5
"""So many detections beside one another make a face."""


class FaceDetector:
    """Cuts faces out of pictures. What is no face to the cascade (profiles, faces turned by much) is not cut out."""

    def __init__(self, threads: int) -> None:
        """Read the cascade.

        Args:
            threads: of OpenCV, in this whole process.

        Raises:
            ExtractionError: OpenCV is not installed, or is of a version that has no cascades.
        """
        require("cutting out faces", ["cv2"])
        import cv2  # noqa: PLC0415 - of the extra

        if not hasattr(cv2, "CascadeClassifier"):
            raise ExtractionError(
                f"cutting out faces needs OpenCV 4, here is {cv2.__version__}: pip install 'dclf[extract]'"
            )
        cv2.setNumThreads(threads)
        self._cascade: Any = cv2.CascadeClassifier(str(Path(cv2.__file__).with_name("data") / CASCADE))

    def largest_face(self, picture: Picture) -> Picture | None:
        """Cut out the largest face: the square that the cascade puts around it, forehead to chin.

        Args:
            picture: RGB uint8 [H, W, 3].

        Returns:
            RGB uint8 [side, side, 3], a view of the picture; None where no face is found.
        """
        import cv2  # noqa: PLC0415 - of the extra

        grey = cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY)
        scale = min(1.0, SEARCHED / min(grey.shape))
        if scale < 1:
            grey = cv2.resize(grey, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
        boxes = self._cascade.detectMultiScale(grey, STEP, NEIGHBOURS, minSize=(SMALLEST, SMALLEST))
        if len(boxes) == 0:
            return None
        largest = max(boxes.tolist(), key=lambda box: (box[2], box))
        left, top, side, _ = (round(pixels / scale) for pixels in largest)
        return picture[top : top + side, left : left + side]
