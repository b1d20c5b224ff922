"""openSMILE's rows are openSMILE's own, and those of speech encoders are those of a plain loop."""

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import opensmile
import pytest
import soundfile
import torch
import transformers

from dclf.extraction import ExtractionError, Extractor, Row, Unreadable, Utterance, settings_of
from dclf.extraction.audio import SETS, OpenSmile, OpenSmileSettings, SpeechSettings
from dclf.extraction.encoders import quiet_transformers
from dclf.extraction.media import sound
from tests.dclf.extraction.sounds import read_wav, write_video, write_wav

WIDTHS = {"is10": 1582, "egemaps": 88, "compare": 6373}


def utterance(path: Path, start: float | None = None, end: float | None = None) -> Utterance:
    return Utterance(recording=str(path), start=start, end=end)


def vector(row: Row) -> np.ndarray:
    assert isinstance(row, np.ndarray), row
    assert row.dtype == np.float32
    return row


def reason(row: Row) -> str:
    assert isinstance(row, Unreadable), row
    return row.reason


@pytest.fixture(scope="module")
def extractors() -> dict[str, OpenSmile]:
    """openSMILE with each of its sets."""
    return {name: OpenSmileSettings(features=name).resolve().load("cpu") for name in SETS}


class TestOpenSmile:
    @pytest.mark.parametrize("name", [*SETS])
    def test_rows_are_those_of_opensmile_alone(
        self, extractors: dict[str, OpenSmile], speech: dict[str, Path], name: str
    ) -> None:
        alone = opensmile.Smile(opensmile.FeatureSet[SETS[name]]).process_file(str(speech["question"]))
        (row,) = extractors[name].rows([utterance(speech["question"])])
        assert extractors[name].columns == tuple(alone.columns)
        assert extractors[name].width == len(vector(row)) == WIDTHS[name]
        np.testing.assert_array_equal(row, alone.to_numpy()[0])

    def test_columns_have_the_names_of_the_paralinguistic_challenge(self, extractors: dict[str, OpenSmile]) -> None:
        columns = extractors["is10"].columns
        assert columns[0] == "pcm_loudness_sma_maxPos"
        assert columns[-2:] == ("F0final__Turn_numOnsets", "F0final__Turn_duration")
        assert {"mfcc_sma[14]_amean", "lspFreq_sma_de[7]_percentile99.0", "jitterDDP_sma_amean"} <= {*columns}

    def test_a_segment_is_the_file_cut_there(
        self, extractors: dict[str, OpenSmile], speech: dict[str, Path], tmp_path: Path
    ) -> None:
        whole, rate = read_wav(speech["monologue"])
        cut = write_wav(tmp_path / "cut.wav", whole[round(2.5 * rate) : round(5.1 * rate)], rate)
        video = write_video(tmp_path / "clip.mov", whole[:, 0], rate)
        alone = opensmile.Smile(opensmile.FeatureSet.IS10).process_file(str(cut)).to_numpy()[0]
        for row in extractors["is10"].rows([utterance(path, 2.5, 5.1) for path in (speech["monologue"], video)]):
            np.testing.assert_array_equal(row, alone)

    def test_channels_are_averaged(
        self, extractors: dict[str, OpenSmile], speech: dict[str, Path], tmp_path: Path
    ) -> None:
        whole, rate = read_wav(speech["question"])
        path = write_wav(tmp_path / "stereo.wav", np.concatenate([whole, whole[::-1]], axis=1), rate)
        alone = opensmile.Smile(opensmile.FeatureSet.IS10, channels=[0, 1], mixdown=True).process_file(str(path))
        np.testing.assert_array_equal(extractors["is10"].rows([utterance(path)])[0], alone.to_numpy()[0])

    def test_recordings_are_resampled_on_demand(self, speech: dict[str, Path], tmp_path: Path) -> None:
        samples, rate = sound(str(speech["question"]), rate=16000)
        soundfile.write(tmp_path / "low.wav", samples, rate, subtype="FLOAT")
        low, low_too = (
            OpenSmileSettings(features="egemaps", rate=target_rate).load("cpu").rows([utterance(path)])[0]
            for target_rate, path in [(0, tmp_path / "low.wav"), (16000, speech["question"])]
        )
        np.testing.assert_array_equal(low, low_too)

    def test_what_a_decoder_gives_beyond_one_is_clipped(
        self, extractors: dict[str, OpenSmile], speech: dict[str, Path], tmp_path: Path
    ) -> None:
        samples, rate = soundfile.read(speech["question"])
        for name, values in [("loud", samples * 3), ("clipped", np.clip(samples * 3, -1, 32767 / 32768))]:
            soundfile.write(tmp_path / f"{name}.wav", values, rate, subtype="FLOAT")
        loud, clipped = extractors["egemaps"].rows([utterance(tmp_path / f"{n}.wav") for n in ("loud", "clipped")])
        np.testing.assert_array_equal(loud, clipped)

    def test_one_broken_file_spoils_no_other(
        self, extractors: dict[str, OpenSmile], speech: dict[str, Path], tmp_path: Path
    ) -> None:
        (tmp_path / "empty.wav").touch()
        silence = write_wav(tmp_path / "silence.wav", np.zeros(22050, np.int16), 22050)
        rows = extractors["is10"].rows(
            [
                utterance(speech["short"]),
                utterance(tmp_path / "empty.wav"),
                utterance(tmp_path / "absent.wav"),
                utterance(speech["question"], 1, 1.05),
                Utterance(text="no recording"),
                utterance(silence),
                utterance(speech["question"]),
            ]
        )
        for row, path in [(rows[0], speech["short"]), (rows[6], speech["question"])]:
            np.testing.assert_array_equal(row, extractors["is10"].rows([utterance(path)])[0])
        assert np.isfinite(vector(rows[5])).all()
        assert [reason(row) for row in rows[1:5]] == [
            "the file is empty",
            f"there is no file {tmp_path / 'absent.wav'}",
            "its sound of 0.050 s is too short for openSMILE's is10",
            "there is no recording",
        ]
        assert [row.lasting for row in rows[1:4] if isinstance(row, Unreadable)] == [True, False, True]

    def test_one_may_be_too_long(self, speech: dict[str, Path]) -> None:
        (row,) = OpenSmileSettings(features="egemaps", longest=5).load("cpu").rows([utterance(speech["monologue"])])
        assert reason(row) == "it lasts longer than the 5 seconds that an utterance may"

    def test_settings_come_back_from_their_facts(self) -> None:
        settings = OpenSmileSettings(features="compare", rate=16000).resolve()
        assert settings.identity == f"ComParE_2016 of opensmile {opensmile.__version__}"
        assert settings_of(json.loads(json.dumps(settings.facts()))) == settings

    def test_rows_of_another_version_are_not_mixed_in(self) -> None:
        with pytest.raises(ExtractionError, match=r"must be IS10 of opensmile 1\.0, but here is IS10 of opensmile 2"):
            OpenSmileSettings(identity="IS10 of opensmile 1.0").load("cpu")

    def test_every_problem_is_told(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setitem(sys.modules, "opensmile", None)
        settings = OpenSmileSettings(features="is11", rate=-1, longest=0)
        assert settings.problems() == [
            "openSMILE's is11 needs the package opensmile: pip install 'dclf[extract]'",
            "openSMILE's features must be is10, egemaps or compare, are 'is11'",
            "rate must be samples a second, or 0 for the recording's own, is -1",
            "longest must be more than 0 seconds, is 0",
        ]
        with pytest.raises(ExtractionError, match="needs the package opensmile"):
            settings.resolve()

    def test_planning_imports_none_of_the_packages(self) -> None:
        program = (
            "import sys; from dclf.extraction.audio import OpenSmileSettings, SpeechSettings;"
            "OpenSmileSettings().resolve(); SpeechSettings(model='x').problems();"
            "print(sorted({'torch', 'transformers', 'opensmile', 'av', 'pandas'} & {*sys.modules}))"
        )
        done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60)
        assert done.stdout.strip() == "[]"


SIZES: dict[str, Any] = {
    "hidden_size": 16,
    "num_hidden_layers": 5,
    "num_attention_heads": 2,
    "intermediate_size": 24,
    "conv_dim": (8, 8, 8),
    "conv_kernel": (10, 8, 4),
    "conv_stride": (8, 8, 5),
    "initializer_range": 0.3,
    "num_conv_pos_embeddings": 16,
    "num_conv_pos_embedding_groups": 2,
}
BY_LAYER: dict[str, Any] = {"feat_extract_norm": "layer", "do_stable_layer_norm": True}
FAMILIES: dict[str, tuple[str, dict[str, Any]]] = {
    "group": ("Wav2Vec2", {}),
    "masked group": ("Wav2Vec2", {}),
    "layer": ("Wav2Vec2", BY_LAYER),
    "hubert": ("Hubert", BY_LAYER),
    "wavlm": ("WavLM", BY_LAYER),
}


@pytest.fixture(scope="module")
def encoders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Folders of tiny encoders: normalised by group, without and with masks, and three that are by layer."""
    folders = {name: tmp_path_factory.mktemp("encoders") / name for name in FAMILIES}
    with quiet_transformers():
        for name, folder in folders.items():
            torch.manual_seed(0)
            family, options = FAMILIES[name]
            config = getattr(transformers, f"{family}Config")(**SIZES, **options)
            getattr(transformers, f"{family}Model")(config).save_pretrained(folder)
            transformers.Wav2Vec2FeatureExtractor(return_attention_mask=name != "group").save_pretrained(folder)
    return folders


def opened(folder: Path, **options: Any) -> Extractor:
    return SpeechSettings(model=str(folder), **options).resolve().load("cpu")


def plain(folder: Path, path: Path, parts: int = 1, choose: Callable[[Any], Any] | None = None) -> np.ndarray:
    """A row by transformers alone, in a loop over the parts of a sound."""
    samples, rate = sound(str(path), rate=16000)
    values = transformers.Wav2Vec2FeatureExtractor.from_pretrained(folder)(samples, sampling_rate=rate)["input_values"][
        0
    ]
    with quiet_transformers(), torch.no_grad():
        model = getattr(transformers, f"{FAMILIES[folder.name][0]}Model").from_pretrained(folder).eval()
        outputs = [model(torch.tensor(part)[None], output_hidden_states=True) for part in np.array_split(values, parts)]
    states = [frame for output in outputs for frame in (choose(output) if choose else output.last_hidden_state)[0]]
    return np.mean([frame.double().numpy() for frame in states], axis=0)


class TestSpeech:
    @pytest.mark.parametrize("name", [*FAMILIES])
    def test_rows_are_those_of_a_plain_loop_whatever_is_beside(
        self, encoders: dict[str, Path], speech: dict[str, Path], tmp_path: Path, name: str
    ) -> None:
        extractor = opened(encoders[name])
        assert extractor.width == 16
        paths = [speech["short"], speech["monologue"], speech["question"], speech["short"]]
        rows = extractor.rows([utterance(path) for path in paths])
        for row, path in zip(rows, paths, strict=True):
            np.testing.assert_allclose(vector(row), plain(encoders[name], path), atol=2e-5)
        (alone,) = extractor.rows([utterance(speech["short"])])
        np.testing.assert_allclose(rows[0], vector(alone), atol=2e-5)

    @pytest.mark.parametrize(
        ("options", "choose"),
        [
            ({"layer": 0}, lambda output: output.hidden_states[0]),
            ({"layer": 3}, lambda output: output.hidden_states[3]),
            ({"last_four": True}, lambda output: torch.stack(output.hidden_states[2:]).mean(dim=0)),
        ],
    )
    @pytest.mark.parametrize("name", ["group", "layer"])
    def test_layers(
        self,
        encoders: dict[str, Path],
        speech: dict[str, Path],
        name: str,
        options: dict[str, Any],
        choose: Callable[[Any], Any],
    ) -> None:
        (row,) = opened(encoders[name], **options).rows([utterance(speech["question"])])
        expected = plain(encoders[name], speech["question"], choose=choose)
        np.testing.assert_allclose(vector(row), expected, atol=2e-5)
        assert np.abs(expected - plain(encoders[name], speech["question"])).max() > 0.01

    @pytest.mark.parametrize("name", ["group", "layer"])
    def test_long_sound_goes_through_in_equal_parts(
        self, encoders: dict[str, Path], speech: dict[str, Path], name: str
    ) -> None:
        seconds = soundfile.info(speech["monologue"]).duration
        (row,) = opened(encoders[name], chunk=seconds / 3.5).rows([utterance(speech["monologue"])])
        np.testing.assert_allclose(vector(row), plain(encoders[name], speech["monologue"], parts=4), atol=2e-5)
        (one,) = opened(encoders[name], chunk=seconds + 1).rows([utterance(speech["monologue"])])
        np.testing.assert_allclose(vector(one), plain(encoders[name], speech["monologue"]), atol=2e-5)

    def test_one_broken_file_spoils_no_other(self, encoders: dict[str, Path], speech: dict[str, Path]) -> None:
        extractor = opened(encoders["layer"], longest=5)
        broken = [
            Utterance(text="no recording"),
            utterance(speech["short"].with_name("absent.wav")),
            utterance(speech["short"], 0.2, 0.21),
            utterance(speech["monologue"]),
        ]
        rows = extractor.rows([*broken, utterance(speech["short"])])
        assert [reason(row) for row in rows[:4]] == [
            "there is no recording",
            f"there is no file {speech['short'].with_name('absent.wav')}",
            "its sound of 0.010 s is too short for the encoder",
            "it lasts longer than the 5 seconds that an utterance may",
        ]
        np.testing.assert_allclose(vector(rows[4]), plain(encoders["layer"], speech["short"]), atol=2e-5)
        assert extractor.rows([]) == []

    def test_silence_has_a_row(self, encoders: dict[str, Path], tmp_path: Path) -> None:
        path = write_wav(tmp_path / "silence.wav", np.zeros(16000, np.int16), 16000)
        (row,) = opened(encoders["group"]).rows([utterance(path)])
        assert np.isfinite(vector(row)).all()

    def test_settings_come_back_from_their_facts(self, encoders: dict[str, Path], tmp_path: Path) -> None:
        settings = SpeechSettings(model=str(encoders["group"]), last_four=True).resolve()
        again = settings_of(json.loads(json.dumps(settings.facts())))
        assert again == settings
        copy = Path(shutil.copytree(encoders["group"], tmp_path / "copy"))
        assert replace(settings, model=str(copy)).resolve().fingerprint() == settings.fingerprint()
        assert replace(settings, last_four=False).fingerprint() != settings.fingerprint()
        other = SpeechSettings(model=str(encoders["layer"]), last_four=True).resolve()
        assert other.fingerprint() != settings.fingerprint()
        with pytest.raises(ExtractionError, match="must be the one of identity"):
            replace(settings, model=str(encoders["layer"])).load("cpu")

    def test_every_problem_is_told(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setitem(sys.modules, "transformers", None)
        settings = SpeechSettings(layer=-2, last_four=True, chunk=0)
        assert settings.problems() == [
            "speech needs the package transformers: pip install 'dclf[extract]'",
            "speech needs a model: a folder, or a name on the hub such as facebook/wav2vec2-base",
            "layer must be counted from 0, or -1 for the end, is -2",
            "speech takes one layer or the mean of the last four, not layer -2 and both",
            "chunk must be more than 0 seconds, is 0",
        ]
        with pytest.raises(ExtractionError, match="needs the package transformers"):
            settings.resolve()

    def test_a_mistyped_feature_set_is_suggested(self) -> None:
        with pytest.raises(ExtractionError, match=r"there is no folder 'is 10', .*; did you mean is10\?"):
            SpeechSettings(model="is 10").resolve()

    def test_the_last_four_layers_must_be_there(self, tmp_path: Path) -> None:
        config = transformers.Wav2Vec2Config(**{**SIZES, "num_hidden_layers": 3})
        transformers.Wav2Vec2Model(config).save_pretrained(tmp_path)
        transformers.Wav2Vec2FeatureExtractor().save_pretrained(tmp_path)
        with pytest.raises(ExtractionError, match=r"last_four needs an encoder of at least 4 layers, .* has 3; choose"):
            opened(tmp_path, last_four=True)

    def test_parts_must_be_long_enough(self, encoders: dict[str, Path]) -> None:
        with pytest.raises(ExtractionError, match=r"chunk must be so long that the encoder in .*; is 0.03 s"):
            opened(encoders["group"], chunk=0.03)

    def test_a_layer_must_be_there(self, encoders: dict[str, Path]) -> None:
        with pytest.raises(ExtractionError, match="layer must be 0 to 5, or -1 for the end, is 6"):
            opened(encoders["group"], layer=6)

    def test_an_encoder_must_read_samples(self, encoders: dict[str, Path], tmp_path: Path) -> None:
        folder = Path(shutil.copytree(encoders["group"], tmp_path / "other"))
        (folder / "preprocessor_config.json").unlink()
        with pytest.raises(ExtractionError, match=r"must have preprocessor_config\.json"):
            opened(folder)
        transformers.WhisperFeatureExtractor().save_pretrained(folder)
        with pytest.raises(ExtractionError, match="what it reads is made by WhisperFeatureExtractor"):
            opened(folder)
