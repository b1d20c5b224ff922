"""The mean state of an encoder like wav2vec 2.0 over an utterance's sound.

T    samples of a sound
F    frames that the encoder makes of them
D    width of a state and of a row

A sound is normalised as a whole, cut into equal parts below a chunk's length, and every frame counts the same.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dclf.extraction.contract import ExtractionError, Row, Unreadable, Utterance, Vector
from dclf.extraction.encoders import open_model, quiet_transformers
from dclf.extraction.media import BrokenRecording, Sound, sound_of
from dclf.extraction.pooling import LAYERS

_MASKED = frozenset(("wav2vec2", "hubert", "unispeech", "unispeech-sat"))
"""Families of encoders whose states do not depend on padding, where their convolutions are normalised by layer."""
_TOGETHER_S = 60.0
"""How many seconds of sound, padding included, go through an encoder at a time."""


class Speech:
    """An encoder that makes states [F, D] of a sound's samples [T].

    Args:
        folder: of the encoder.
        device: as torch names it.
        layer: whose states, as ``SpeechSettings`` counts them.
        last_four: the mean of the last four layers instead.
        chunk: seconds of a part at most.
        longest: seconds of an utterance at most.

    Raises:
        ExtractionError: it cannot be opened, has no such layers, does not read samples, or chunks are too short for it.
    """

    def __init__(self, folder: Path, device: str, layer: int, last_four: bool, chunk: float, longest: float) -> None:
        self._device, self._layer, self._last_four = device, layer, last_four
        self._chunk, self._longest = chunk, longest
        self._inputs = _preprocessing(folder)
        self._model = open_model(folder, device, unused=("masked_spec_embed",))
        config = self._model.config
        _check(config, folder, layer, last_four)
        self._convolutions = list(zip(config.conv_kernel, config.conv_stride, strict=True))
        self._pads = (
            config.model_type in _MASKED
            and config.feat_extract_norm == "layer"
            and self._inputs.return_attention_mask
            and not getattr(config, "add_adapter", False)
        )
        self._fewest = getattr(config, "squeeze_factor", 1)
        self._rate = int(self._inputs.sampling_rate)
        if self._frames(int(chunk * self._rate / 2)) < self._fewest:
            raise ExtractionError(
                f"chunk must be so long that the encoder in {folder} can read half of it, as longer sound is cut into "
                f"equal parts; is {chunk:g} s"
            )
        (probe,) = self._states([np.zeros(self._rate, np.float32)])
        self._width = int(probe.shape[1])

    @property
    def width(self) -> int:
        """D."""
        return self._width

    def rows(self, utterances: Sequence[Utterance]) -> list[Row]:
        """A float32 [D] for each utterance, or why there is none."""
        sounds = [self._read(utterance) for utterance in utterances]
        parts = [
            (index, part)
            for index, samples in enumerate(sounds)
            if not isinstance(samples, Unreadable)
            for part in self._parts(samples)
        ]
        sums, frames = np.zeros((len(sounds), self._width)), np.zeros(len(sounds))
        for group in self._groups(parts):
            for (index, _), states in zip(group, self._states([part for _, part in group]), strict=True):
                sums[index] += states.sum(axis=0, dtype=np.float64)
                frames[index] += len(states)
        return [
            samples if isinstance(samples, Unreadable) else _mean(sums[index], frames[index])
            for index, samples in enumerate(sounds)
        ]

    def _read(self, utterance: Utterance) -> Sound | Unreadable:
        """Samples [T] as the encoder takes them, normalised over the whole utterance where it was trained so."""
        try:
            samples, rate = sound_of(utterance, self._rate, self._longest)
        except BrokenRecording as error:
            return Unreadable(error.reason, error.lasting)
        if self._frames(len(samples)) < self._fewest:
            return Unreadable(f"its sound of {len(samples) / rate:.3f} s is too short for the encoder")
        return np.asarray(self._inputs(samples, sampling_rate=rate)["input_values"][0], np.float32)

    def _parts(self, samples: Sound) -> list[Sound]:
        """Equal parts of a sound, none longer than a chunk."""
        return np.array_split(samples, max(1, math.ceil(len(samples) / (self._chunk * self._rate))))

    def _groups(self, parts: Sequence[tuple[int, Sound]]) -> Iterator[list[tuple[int, Sound]]]:
        """Parts that go through the encoder together: of similar lengths; each alone where padding would be seen."""
        group: list[tuple[int, Sound]] = []
        for part in sorted(parts, key=lambda part: -len(part[1])):
            longest = len(group[0][1]) if group else 0
            if group and (not self._pads or longest * (len(group) + 1) > _TOGETHER_S * self._rate):
                yield group
                group = []
            group.append(part)
        if group:
            yield group

    def _states(self, parts: Sequence[Sound]) -> list[NDArray[np.float32]]:
        """The states [F, D] of each part."""
        import torch  # noqa: PLC0415

        longest = max(map(len, parts))
        padded = torch.stack([torch.from_numpy(np.pad(part, (0, longest - len(part)))) for part in parts])
        lengths = torch.tensor([len(part) for part in parts])
        mask = (torch.arange(longest) < lengths[:, None]).long().to(self._device) if len(parts) > 1 else None
        with torch.inference_mode():
            output = self._model(padded.to(self._device), attention_mask=mask, output_hidden_states=True)
            states = self._layer_states(output).float().cpu().numpy()
        counts = [self._frames(len(part)) for part in parts] if len(parts) > 1 else [states.shape[1]]
        return [part[:count] for part, count in zip(states, counts, strict=True)]

    def _layer_states(self, output: Any) -> Any:
        """The states [parts, F, D] that the settings name."""
        if self._last_four:
            return sum(output.hidden_states[-LAYERS:]) / LAYERS
        if self._layer == -1:
            return output.last_hidden_state
        return output.hidden_states[self._layer]

    def _frames(self, samples: int) -> int:
        """F of T samples, before an encoder that takes several frames together does so."""
        for kernel, stride in self._convolutions:
            samples = (samples - kernel) // stride + 1
        return samples


def _check(config: Any, folder: Path, layer: int, last_four: bool) -> None:
    """Raise ExtractionError where an encoder is not like wav2vec 2.0, or has no such layers."""
    if not (hasattr(config, "conv_kernel") and hasattr(config, "conv_stride")):
        raise ExtractionError(
            f"the encoder in {folder} must be like wav2vec 2.0, HuBERT and WavLM, is {config.model_type}"
        )
    if not -1 <= layer <= config.num_hidden_layers:
        raise ExtractionError(f"layer must be 0 to {config.num_hidden_layers}, or -1 for the end, is {layer}")
    if last_four and config.num_hidden_layers < LAYERS:
        raise ExtractionError(
            f"last_four needs an encoder of at least {LAYERS} layers, that in {folder} has {config.num_hidden_layers}; "
            "choose a layer"
        )


def _preprocessing(folder: Path) -> Any:
    """What makes an encoder's input of samples, in float32 [1, T].

    Raises:
        ExtractionError: the encoder has none, or reads spectra.
    """
    from transformers import AutoFeatureExtractor, Wav2Vec2FeatureExtractor  # noqa: PLC0415

    with quiet_transformers():
        try:
            inputs = AutoFeatureExtractor.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
        except (OSError, ValueError, KeyError) as error:
            raise ExtractionError(
                f"the encoder in {folder} must have preprocessor_config.json, which says how it takes sound: {error}"
            ) from error
    if not isinstance(inputs, Wav2Vec2FeatureExtractor):
        raise ExtractionError(
            f"the encoder in {folder} must read samples, as wav2vec 2.0, HuBERT and WavLM do; "
            f"what it reads is made by {type(inputs).__name__}"
        )
    return inputs


def _mean(states: NDArray[np.float64], frames: float) -> Row:
    row: Vector = (states / frames).astype(np.float32)
    return row if np.isfinite(row).all() else Unreadable("the encoder gives numbers that are not finite for its sound")
