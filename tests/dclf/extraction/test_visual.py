"""Rows of pictures: as a plain loop over frames gives them, by encoders of transformers and by ONNX files."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from scipy.signal import correlate
from transformers import (
    AutoImageProcessor,
    BertConfig,
    BertModel,
    CLIPConfig,
    CLIPImageProcessorPil,
    CLIPModel,
    ConvNextImageProcessorPil,
    ResNetConfig,
    ResNetModel,
    ViTConfig,
    ViTForImageClassification,
    ViTImageProcessorPil,
    ViTMAEConfig,
    ViTMAEModel,
)

from dclf.extraction import ExtractionError, Unreadable, Utterance, settings_of
from dclf.extraction.faces import FaceDetector
from dclf.extraction.frames import read_frames
from dclf.extraction.visual import ImageSettings
from tests.dclf.extraction.drawn_videos import Picture, paste, portrait, write_video
from tests.dclf.extraction.onnx_graphs import write_convolution, write_flatten, write_sum

TINY = {
    "hidden_size": 16,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 32,
    "image_size": 32,
    "patch_size": 8,
}
SQUARE = {"height": 32, "width": 32}


def moving_square(count: int) -> list[Picture]:
    """A bright square that goes to the right, on frames that get lighter."""
    pictures = []
    for number in range(count):
        picture = np.full((48, 64, 3), (2 * number, 3 * number, 40), dtype=np.uint8)
        picture[10:20, number : number + 10] = (255, 200, 50)
        pictures.append(picture)
    return pictures


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Two seconds."""
    return str(write_video(tmp_path_factory.mktemp("clip") / "clip.mp4", moving_square(50)))


def save(folder: Path, model: Any, processor: Any) -> Path:
    model.save_pretrained(folder)
    processor.save_pretrained(folder)
    return folder


def save_vit(folder: Path) -> Path:
    return save(folder, ViTForImageClassification(ViTConfig(**TINY)), ViTImageProcessorPil(size=SQUARE))


def save_resnet(folder: Path) -> Path:
    model = ResNetModel(ResNetConfig(embedding_size=8, hidden_sizes=[8, 12], depths=[1, 1], layer_type="basic"))
    return save(folder, model, ConvNextImageProcessorPil(size={"shortest_edge": 32}))


def save_clip(folder: Path) -> Path:
    text = {"vocab_size": 9, "bos_token_id": 0, "eos_token_id": 1, "pad_token_id": 2, "hidden_size": 16}
    text |= {"num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 16}
    model = CLIPModel(CLIPConfig(text_config=text, vision_config=TINY))
    return save(folder, model, CLIPImageProcessorPil(size={"shortest_edge": 32}, crop_size=SQUARE))


def vit_vector(folder: Path, pixels: torch.Tensor) -> torch.Tensor:
    classifier = ViTForImageClassification.from_pretrained(folder).eval()
    return classifier.vit(pixels).last_hidden_state[:, 0]


def resnet_vector(folder: Path, pixels: torch.Tensor) -> torch.Tensor:
    return ResNetModel.from_pretrained(folder).eval()(pixels).last_hidden_state.mean(dim=(2, 3))


def clip_vector(folder: Path, pixels: torch.Tensor) -> torch.Tensor:
    return CLIPModel.from_pretrained(folder).eval().vision_model(pixels).pooler_output


FAMILIES: dict[str, tuple[Callable[[Path], Path], Callable[[Path, torch.Tensor], torch.Tensor]]] = {
    "vit": (save_vit, vit_vector),
    "resnet": (save_resnet, resnet_vector),
    "clip": (save_clip, clip_vector),
}


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A tiny encoder of each family, with random weights."""
    torch.manual_seed(0)
    whole = tmp_path_factory.mktemp("encoders")
    return {family: write(whole / family) for family, (write, _) in FAMILIES.items()}


@pytest.mark.parametrize("family", FAMILIES)
def test_rows_equal_a_plain_loop(folders: dict[str, Path], family: str, clip: str) -> None:
    processor = AutoImageProcessor.from_pretrained(folders[family], backend="pil")
    vectors = []
    for picture in read_frames(clip, 20, 0.4, 1.9):
        pixels = processor(Image.fromarray(picture), return_tensors="pt")["pixel_values"]
        with torch.inference_mode():
            vectors.append(FAMILIES[family][1](folders[family], pixels)[0].double())
    images = ImageSettings(model=str(folders[family]), frames=20).resolve().load("cpu")
    (row,) = images.rows([Utterance(recording=clip, start=0.4, end=1.9)])
    assert isinstance(row, np.ndarray)
    assert (row.dtype, row.shape) == (np.float32, (images.width,))
    np.testing.assert_allclose(row, torch.stack(vectors).mean(dim=0), rtol=1e-4, atol=1e-5)


def test_a_broken_recording_spoils_no_other(folders: dict[str, Path], clip: str, tmp_path: Path) -> None:
    (tmp_path / "empty.mp4").touch()
    images = ImageSettings(model=str(folders["vit"])).load("cpu")
    (alone,) = images.rows([Utterance(recording=clip)])
    first, empty, absent, none, last = images.rows(
        [
            Utterance(recording=clip),
            Utterance(recording=str(tmp_path / "empty.mp4")),
            Utterance(recording=str(tmp_path / "absent.mp4")),
            Utterance(text="no pictures"),
            Utterance(recording=clip, start=1.0),
        ]
    )
    np.testing.assert_array_equal(first, alone)
    assert isinstance(last, np.ndarray)
    assert not np.array_equal(last, alone)
    assert isinstance(absent, Unreadable)
    assert not absent.lasting
    assert empty == Unreadable("the file is empty")
    assert none == Unreadable("there is no recording")


def test_settings_name_the_encoder_wherever_it_lies(folders: dict[str, Path], tmp_path: Path) -> None:
    settings = ImageSettings(model=str(folders["vit"])).resolve()
    copy = shutil.copytree(folders["vit"], tmp_path / "copy")
    moved = ImageSettings(model=str(copy)).resolve()
    assert (moved.identity, moved.fingerprint()) == (settings.identity, settings.fingerprint())
    assert replace(moved, frames=8).fingerprint() != settings.fingerprint()
    assert settings_of(json.loads(json.dumps(moved.facts()))) == moved
    shutil.copyfile(folders["clip"] / "preprocessor_config.json", copy / "preprocessor_config.json")
    with pytest.raises(ExtractionError, match=f"must be the one of identity {moved.identity}"):
        moved.load("cpu")


def test_encoders_that_give_no_row_are_refused(folders: dict[str, Path], tmp_path: Path) -> None:
    hides = save(tmp_path / "hides", ViTMAEModel(ViTMAEConfig(**TINY)), ViTImageProcessorPil(size=SQUARE))
    with pytest.raises(ExtractionError, match=r"another vector of the same picture each time.*set mask_ratio to 0"):
        ImageSettings(model=str(hides)).load("cpu")
    config = json.loads((hides / "config.json").read_text())
    (hides / "config.json").write_text(json.dumps({**config, "mask_ratio": 0.0}))
    assert ImageSettings(model=str(hides)).load("cpu").width == 16

    reads = BertModel(BertConfig(vocab_size=9, **{key: TINY[key] for key in [*TINY][:4]}))
    reads = save(tmp_path / "reads", reads, ViTImageProcessorPil(size=SQUARE))
    with pytest.raises(ExtractionError, match=r"must read pixel_values, the one in .* reads input_ids"):
        ImageSettings(model=str(reads)).load("cpu")

    bare = shutil.copytree(folders["vit"], tmp_path / "bare")
    (bare / "preprocessor_config.json").unlink()
    with pytest.raises(ExtractionError, match=r"cannot open the image processor .* preprocessor_config.json describes"):
        ImageSettings(model=str(bare)).load("cpu")

    small = shutil.copytree(folders["vit"], tmp_path / "small")
    description = json.loads((small / "preprocessor_config.json").read_text())
    (small / "preprocessor_config.json").write_text(json.dumps({**description, "size": {"height": 9, "width": 9}}))
    with pytest.raises(ExtractionError, match="makes no vector of a picture: ValueError: Input image size"):
        ImageSettings(model=str(small)).load("cpu")


@pytest.mark.skipif(find_spec("torchvision") is not None, reason="torchvision is there")
def test_a_processor_that_needs_torchvision_is_refused(folders: dict[str, Path], tmp_path: Path) -> None:
    folder = shutil.copytree(folders["vit"], tmp_path / "encoder")
    for kind in ("DINOv3ViTImageProcessor", "DINOv3ViTImageProcessorFast"):
        (folder / "preprocessor_config.json").write_text(json.dumps({"image_processor_type": kind}))
        with pytest.raises(ExtractionError, match=r"exists for torchvision only.*or give the encoder as an ONNX file"):
            ImageSettings(model=str(folder)).load("cpu")


@pytest.mark.parametrize(
    ("settings", "problem"),
    [
        (ImageSettings(), "needs a model"),
        (ImageSettings(model="a/b", frames=0), "at least 1 frame .*, frames is 0"),
        (ImageSettings(model="a/b", size=48), "mean, std and size are for ONNX files"),
        (ImageSettings(model="/absent/graph.onnx"), "there is no ONNX file /absent/graph.onnx"),
        (ImageSettings(model="/absent/graph.onnx", revision="main"), "has no revision main"),
        (ImageSettings(model="/absent/graph.onnx", mean=(0.5,)), r"mean must be 3 numbers.*, is \[0.5\]"),
        (ImageSettings(model="/absent/graph.onnx", std=(1.0, 0.0, 1.0)), "std must be 3 numbers above 0"),
        (ImageSettings(model="/absent/graph.onnx", size=0), "size must be at least 1 pixel, is 0"),
        (ImageSettings(model="/absent/encoder"), "there is no folder '/absent/encoder'"),
    ],
)
def test_impossible_settings_are_refused(settings: ImageSettings, problem: str) -> None:
    with pytest.raises(ExtractionError, match=problem):
        settings.resolve()


def test_planning_imports_no_package_of_the_extra(tmp_path: Path) -> None:
    graph = write_flatten(tmp_path / "graph.onnx", ["N", 3, 8, 8])
    program = (
        "import sys; from dclf.extraction.visual import ImageSettings;"
        "ImageSettings(model='x').problems(); ImageSettings(model=sys.argv[1], faces=True).resolve();"
        "print(sorted({'torch', 'transformers', 'av', 'cv2', 'onnxruntime', 'PIL'} & {*sys.modules}))"
    )
    words = [sys.executable, "-c", program, str(graph)]
    done = subprocess.run(words, capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize("first", ["N", 1])
def test_an_onnx_file_reads_pixels_as_the_settings_say(tmp_path: Path, clip: str, first: int | str) -> None:
    graph = write_flatten(tmp_path / "graph.onnx", [first, 3, 48, 64])
    settings = ImageSettings(model=str(graph), frames=18, mean=(0.1, 0.2, 0.3), std=(0.5, 0.25, 2.0))
    images = settings.resolve().load("cpu")
    (row,) = images.rows([Utterance(recording=clip)])
    frames = np.stack([*read_frames(clip, 18)]).astype(np.float64) / 255
    normalised = (frames - settings.mean) / settings.std
    assert images.width == 3 * 48 * 64
    np.testing.assert_allclose(row, normalised.mean(axis=0).transpose(2, 0, 1).ravel(), rtol=1e-5, atol=1e-5)


def test_an_onnx_map_is_averaged(tmp_path: Path, clip: str) -> None:
    kernels = np.random.default_rng(0).normal(size=(5, 3, 3, 3)).astype(np.float32)
    graph = write_convolution(tmp_path / "graph.onnx", kernels, ["N", 3, "h", "w"])
    images = ImageSettings(model=str(graph), frames=3, mean=(0, 0, 0), std=(1 / 255,) * 3, size=20).load("cpu")
    (row,) = images.rows([Utterance(recording=clip)])
    expected = []
    for frame in read_frames(clip, 3):
        picture = np.asarray(Image.fromarray(frame).resize((20, 20), Image.Resampling.BILINEAR), dtype=np.float64)
        maps = [correlate(picture.transpose(2, 0, 1), kernel.astype(np.float64), mode="valid") for kernel in kernels]
        expected.append([one.mean() for one in maps])
    np.testing.assert_allclose(row, np.mean(expected, axis=0), rtol=1e-4, atol=1e-3)


def test_an_onnx_file_is_known_by_content(tmp_path: Path) -> None:
    graph = write_flatten(tmp_path / "graph.onnx", ["N", 3, 8, 8])
    settings = ImageSettings(model=str(graph)).resolve()
    moved = replace(settings, model=str(shutil.copyfile(graph, tmp_path / "other.onnx"))).resolve()
    assert moved.fingerprint() == settings.fingerprint()
    (tmp_path / "graph.onnx.data").write_bytes(b"weights")
    with pytest.raises(ExtractionError, match=f"must be the one of identity {settings.identity}"):
        settings.load("cpu")


@pytest.mark.parametrize(
    ("write", "message"),
    [
        (lambda path: write_flatten(path, ["N", 8, 8, 3]), r"must have one input, .* has pixels .*\['N', 8, 8, 3\]"),
        (lambda path: write_flatten(path, ["N", 3]), "must have one input"),
        (lambda path: write_sum(path, {"a": ["N", 3, 8, 8], "b": ["N", 3, 8, 8]}), "must have one input, .* b tensor"),
        (lambda path: write_flatten(path, [4, 3, 8, 8]), "any number of pictures, or one, takes 4"),
        (lambda path: path.write_text("no graph"), "onnxruntime cannot open"),
    ],
    ids=["channels last", "two dimensions", "two inputs", "batches of four", "no graph"],
)
def test_other_onnx_files_are_refused(
    tmp_path: Path, write: Callable[[Path], object], message: str, capfd: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "graph.onnx"
    write(path)
    with pytest.raises(ExtractionError, match=message):
        ImageSettings(model=str(path)).load("cpu")
    assert capfd.readouterr() == ("", "")


def test_rows_of_faces(tmp_path: Path) -> None:
    """The row is the mean of the faces, cut out and stretched; frames without a face are left out."""
    empty = np.full((270, 480, 3), 90, dtype=np.uint8)
    frames = [paste(empty, portrait(150), 30, 20), empty, paste(empty, portrait(200), 60, 150), empty]
    some = write_video(tmp_path / "some.mp4", frames)
    none = write_video(tmp_path / "none.mp4", [empty] * 3)
    graph = write_flatten(tmp_path / "graph.onnx", ["N", 3, 40, 40])
    settings = ImageSettings(model=str(graph), faces=True, frames=4, mean=(0, 0, 0), std=(1 / 255,) * 3)
    row, unreadable = settings.load("cpu").rows([Utterance(recording=str(some)), Utterance(recording=str(none))])
    assert unreadable == Unreadable("there is no face in any of its 3 frames")
    detector = FaceDetector(1)
    faces = [detector.largest_face(frame) for frame in frames[::2]]
    assert all(face is not None for face in faces)
    stretched = [np.asarray(Image.fromarray(face).resize((40, 40), Image.Resampling.BILINEAR)) for face in faces]
    np.testing.assert_allclose(row, np.mean(stretched, axis=0).transpose(2, 0, 1).ravel(), atol=1e-3)
