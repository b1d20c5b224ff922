"""Rows of words: equal to other programs' and to loops in float64, whatever stands beside an utterance in its batch."""

import csv
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from sentence_transformers import SentenceTransformer
from transformers import AutoModel

from dclf.extraction import ExtractionError, Unreadable, Utterance, Vector, settings_of
from dclf.extraction.encoders import open_model, quiet_transformers
from dclf.extraction.text import FineTuned, TextSettings
from dclf.extraction.text_encoder import TextEncoder
from tests.dclf.extraction.hub import COMMIT, serve
from tests.dclf.extraction.tiny_encoders import PAD, POSITIONS, SPECIAL, WIDTH, WORDS, write_encoder
from tests.real_data import real_data

RESOLVE = """
import json, sys
from dclf.extraction.text import TextSettings
print(json.dumps(TextSettings(model="owner/tiny", revision=sys.argv[1]).resolve().facts()))
"""
TEXTS = ("oh no", "well what a day I like it you know !", "yes", "I hate it . what ?")
TUNED = FineTuned(
    base_model="somewhere",
    base_revision="",
    base_identity="0",
    pooling="cls",
    max_tokens=0,
    utterances=3,
    classes=2,
    sha256="0",
    epochs=1,
    learning_rate=1e-5,
    batch_size=2,
    seed=0,
)


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_encoder(tmp_path_factory.mktemp("encoders") / "tiny")


@pytest.fixture(scope="module")
def encoders(tiny: Path) -> dict[str, TextEncoder]:
    """The tiny encoder, open, by pooling."""
    return {pooling: encoder_of(tiny, pooling=pooling) for pooling in ("cls", "mean", "last4")}


@pytest.fixture
def own(tiny: Path, tmp_path: Path) -> Path:
    """A copy of the tiny encoder, to be changed."""
    return Path(shutil.copytree(tiny, tmp_path / "own"))


def rows_of(encoder: TextEncoder, *texts: str) -> Vector:
    """[n, D] of texts that all have rows."""
    rows = encoder.rows([Utterance(text=text) for text in texts])
    return np.stack([row for row in rows if not isinstance(row, Unreadable)])


def encoder_of(folder: Path, **values: Any) -> TextEncoder:
    return TextSettings(model=str(folder), **values).resolve().load("cpu")


def meld_texts(split: str) -> tuple[list[str], NDArray[np.float16]]:
    """The utterances of a split, and the rows that stand beside them."""
    meld = real_data("meld")
    with (meld / f"{split}.csv").open(encoding="utf-8", newline="") as table:
        return [row["Utterance"] for row in csv.DictReader(table)], np.load(meld / f"{split}_minilm.npy")


class TestAgainstOthers:
    @pytest.mark.slow
    @pytest.mark.meld
    def test_rows_of_meld(self, minilm: Path) -> None:
        texts, rows = meld_texts("test")
        sample = slice(None, None, 13)
        ours = rows_of(encoder_of(minilm), *texts[sample])
        assert np.abs(ours - rows[sample].astype(np.float32)).max() < 1e-3

    @pytest.mark.slow
    def test_rows_of_sentence_transformers(self, minilm: Path) -> None:
        texts = ["Oh no!", "You're gonna be okay, I promise. " * 60, "caf\xe9 \u4f60\u597d", "Hey", " so ... "]
        with quiet_transformers():
            theirs = SentenceTransformer(str(minilm), device="cpu").encode(texts)
        assert np.abs(rows_of(encoder_of(minilm), *texts) - theirs).max() < 1e-5

    @pytest.mark.parametrize("newer", [False, True])
    @pytest.mark.parametrize("mode", ["cls", "mean"])
    def test_folders_of_sentence_transformers(self, own: Path, mode: str, newer: bool) -> None:
        modules = ("Transformer", "Pooling", "Normalize") if newer else ("Transformer", "Pooling")
        describe(own, modules, {"pooling_mode": mode} if newer else {f"pooling_mode_{LEGACY[mode]}": True})
        words = {"max_seq_length": 6, "do_lower_case": True}
        (own / "sentence_bert_config.json").write_text(json.dumps(words), encoding="utf-8")
        texts = [*TEXTS, "OH NO"]
        with quiet_transformers():
            theirs = SentenceTransformer(str(own), device="cpu").encode(texts)
        assert np.abs(rows_of(encoder_of(own), *texts) - theirs).max() < 1e-5


LEGACY = {"cls": "cls_token", "mean": "mean_tokens", "max": "max_tokens"}


def describe(folder: Path, modules: tuple[str, ...], pooling: dict[str, Any]) -> None:
    """Say in the folder what follows the encoder, as sentence-transformers does."""
    paths = [f"{place}_{name}" if place else "" for place, name in enumerate(modules)]
    listed = [
        {"idx": place, "name": str(place), "path": path, "type": f"sentence_transformers.models.{name}"}
        for place, (name, path) in enumerate(zip(modules, paths, strict=True))
    ]
    (folder / "modules.json").write_text(json.dumps(listed), encoding="utf-8")
    for path in paths[1:]:
        (folder / path).mkdir(exist_ok=True)
        values = {"word_embedding_dimension": WIDTH, **pooling} if path.endswith("Pooling") else {}
        (folder / path / "config.json").write_text(json.dumps(values), encoding="utf-8")


def loop_row(folder: Path, text: str, pooling: str, limit: int) -> NDArray[np.float64]:
    """A row by loops over tokens and layers in float64: one text at a time, without padding or mask."""
    words = [SPECIAL.index("<s>"), *(len(SPECIAL) + WORDS.index(word) for word in text.split())]
    ids = [*words[: limit - 1], SPECIAL.index("</s>")]
    with quiet_transformers():
        model = AutoModel.from_pretrained(folder, dtype=torch.float64).eval()
    with torch.no_grad():
        layers = [layer[0].numpy() for layer in model(torch.tensor([ids]), output_hidden_states=True).hidden_states]
    if pooling == "cls":
        return np.asarray(layers[-1][0], dtype=np.float64)
    last_layers = layers[-4:] if pooling == "last4" else layers[-1:]
    total = np.zeros(WIDTH)
    for token in range(len(ids)):
        for layer in last_layers:
            total += layer[token] / len(last_layers) / len(ids)
    return total


class TestPooling:
    @pytest.mark.slow
    @pytest.mark.parametrize("kind", ["bert", "roberta"])
    @pytest.mark.parametrize("pooling", ["own", "cls", "mean", "last4"])
    def test_every_kind_against_a_loop(self, tmp_path: Path, kind: str, pooling: str) -> None:
        folder = write_encoder(tmp_path / kind, kind)
        texts = [*TEXTS, "oh no " * 30]
        limit = POSITIONS if kind == "bert" else POSITIONS - PAD - 1
        expected = [loop_row(folder, text, "cls" if pooling == "own" else pooling, limit) for text in texts]
        np.testing.assert_allclose(rows_of(encoder_of(folder, pooling=pooling), *texts), expected, atol=1e-5)

    def test_texts_are_cut(self, tiny: Path) -> None:
        encoder = encoder_of(tiny, max_tokens=4)
        np.testing.assert_array_equal(rows_of(encoder, "oh no what a day"), rows_of(encoder, "oh no"))
        expected = loop_row(tiny, "oh no", "cls", 4)
        np.testing.assert_allclose(rows_of(encoder, "oh no what a day")[0], expected, atol=1e-5)

    @settings(max_examples=15)
    @given(st.lists(st.lists(st.sampled_from(WORDS), min_size=1, max_size=25).map(" ".join), min_size=1, max_size=40))
    @pytest.mark.parametrize("pooling", ["cls", "mean", "last4"])
    def test_a_row_does_not_depend_on_its_batch(
        self, pooling: str, encoders: dict[str, TextEncoder], texts: list[str]
    ) -> None:
        encoder = encoders[pooling]
        together = rows_of(encoder, *texts)
        alone = rows_of(encoder, texts[-1])[0]
        np.testing.assert_allclose(together[-1], alone, atol=1e-5)

    def test_what_has_no_words_is_unreadable(self, tiny: Path) -> None:
        encoder = encoder_of(tiny)
        empty, filled, blank, _ = encoder.rows([Utterance(text=text) for text in ("", "oh no", " \n\t", "yes")])
        assert empty == blank == Unreadable("has no words")
        assert isinstance(filled, np.ndarray)
        np.testing.assert_allclose(filled, rows_of(encoder, "oh no")[0], atol=1e-5)
        assert filled.dtype == np.float32
        assert filled.shape == (encoder.width,) == (WIDTH,)
        assert encoder.rows([]) == []
        assert encoder.rows([Utterance()]) == [Unreadable("has no words")]

    @pytest.mark.parametrize(
        ("modules", "pooling", "reason"),
        [
            (("Transformer", "Pooling", "Dense"), {"pooling_mode": "mean"}, "has the module Dense"),
            (("Transformer",), {}, "has 0 modules that pool"),
            (("Transformer", "Pooling"), {"pooling_mode_max_tokens": True}, "pools by max_tokens"),
            (("Transformer", "Pooling"), {"pooling_mode": ["cls", "mean"]}, "pools by cls and mean"),
        ],
    )
    def test_what_is_not_known_is_refused(
        self, own: Path, modules: tuple[str, ...], pooling: dict[str, Any], reason: str
    ) -> None:
        describe(own, modules, pooling)
        with pytest.raises(ExtractionError, match=f"{reason}, and only cls and mean.*choose cls, mean or last4"):
            TextSettings(model=str(own)).resolve()
        TextSettings(model=str(own), pooling="mean").resolve()

    def test_prompts_and_damaged_files_are_refused(self, own: Path) -> None:
        describe(own, ("Transformer", "Pooling"), {"pooling_mode": "mean"})
        prompts = {"prompts": {"query": "query: "}, "default_prompt_name": "query"}
        (own / "config_sentence_transformers.json").write_text(json.dumps(prompts), encoding="utf-8")
        with pytest.raises(ExtractionError, match="puts the prompt 'query' before every text"):
            TextSettings(model=str(own)).resolve()
        for content, reason in (("{}", "must list modules with path and type"), ("[", "cannot be read as JSON")):
            (own / "modules.json").write_text(content, encoding="utf-8")
            with pytest.raises(ExtractionError, match=reason):
                TextSettings(model=str(own)).resolve()


class TestSettings:
    def test_they_stand_in_facts(self, tiny: Path) -> None:
        resolved = TextSettings(model=str(tiny), pooling="mean", max_tokens=9, fine_tuned=TUNED)
        for one in (resolved, resolved.resolve(), TextSettings(model="roberta-large", revision="v1")):
            assert settings_of(json.loads(json.dumps(one.facts()))) == one
        with pytest.raises(ExtractionError, match="has no layers"):
            TextSettings.from_facts({"extractor": "text", "model": "m", "layers": 4})
        with pytest.raises(ExtractionError, match=r"fine-tuning must be .*wrong: \['luck'\]"):
            settings_of({**resolved.facts(), "fine_tuned": {**resolved.facts()["fine_tuned"], "luck": 1}})

    def test_the_place_is_no_part_of_the_fingerprint(
        self, tiny: Path, own: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        first, second = (TextSettings(model=str(folder)).resolve() for folder in (tiny, own))
        assert first.fingerprint() == second.fingerprint()
        assert (first.model, second.model) == (str(tiny), str(own))
        monkeypatch.chdir(own.parent)
        assert TextSettings(model="own").resolve() == second
        others = [TextSettings(model=str(tiny), **v).resolve() for v in ({"pooling": "mean"}, {"max_tokens": 7})]
        assert len({first.fingerprint(), *(one.fingerprint() for one in others)}) == 3

    def test_a_weight_changes_the_identity(self, tiny: Path, own: Path) -> None:
        resolved = TextSettings(model=str(own)).resolve()
        model = open_model(own, "cpu")
        with torch.no_grad():
            next(model.parameters())[0, 0] += 1
        with quiet_transformers():
            model.save_pretrained(own)
        assert TextSettings(model=str(own)).resolve().identity != resolved.identity
        with pytest.raises(ExtractionError, match=f"must be the one of identity {resolved.identity}, is "):
            resolved.load("cpu")

    def test_so_does_the_pooling(self, own: Path) -> None:
        identities = set()
        for mode in ("cls", "mean"):
            describe(own, ("Transformer", "Pooling"), {"pooling_mode": mode})
            identities.add(TextSettings(model=str(own)).resolve().identity)
        assert len(identities) == 2

    def test_every_problem_is_named(self, tmp_path: Path) -> None:
        problems = TextSettings(model=str(tmp_path), pooling="max", max_tokens=-1).problems()
        assert [problem.split(",")[0] for problem in problems] == [
            "pooling must be one of own",
            "max_tokens must be 0 or more",
            "the folder of an encoder must hold config.json",
        ]
        assert TextSettings(model="roberta-large").problems() == []
        with pytest.raises(ExtractionError, match="there is no folder '/nowhere'"):
            TextSettings(model="/nowhere").resolve()

    def test_a_tokenizer_must_be_there(self, own: Path) -> None:
        (own / "tokenizer.json").unlink()
        with pytest.raises(ExtractionError, match=r"must hold its tokenizer \(tokenizer\.json, .*save_pretrained"):
            TextSettings(model=str(own)).resolve()

    @pytest.mark.parametrize(
        ("change", "values", "reason"),
        [
            ({}, {"max_tokens": 99}, f"takes at most {POSITIONS - PAD - 1} tokens, is 99"),
            ({"layers": 3}, {"pooling": "last4"}, "at least 4 layers, that in .* has 3"),
        ],
    )
    def test_what_does_not_fit_the_encoder(
        self, tmp_path: Path, change: dict[str, Any], values: dict[str, Any], reason: str
    ) -> None:
        folder = write_encoder(tmp_path / "encoder", **change)
        with pytest.raises(ExtractionError, match=reason):
            encoder_of(folder, **values)

    def test_a_foreign_tokenizer_is_refused(self, own: Path) -> None:
        content = json.loads((own / "tokenizer.json").read_text(encoding="utf-8"))
        content["model"]["vocab"]["more"] = len(content["model"]["vocab"])
        (own / "tokenizer.json").write_text(json.dumps(content), encoding="utf-8")
        with pytest.raises(ExtractionError, match="has 21 tokens, and the model knows 20 of them"):
            encoder_of(own)

    def test_a_damaged_tokenizer_is_refused(self, own: Path) -> None:
        (own / "tokenizer.json").write_text("{", encoding="utf-8")
        with pytest.raises(ExtractionError, match="cannot open the tokenizer in"):
            encoder_of(own)

    def test_planning_imports_neither_torch_nor_transformers(self, tiny: Path) -> None:
        code = (
            "import sys; from dclf.extraction.text import TextSettings; TextSettings(model=sys.argv[1]).resolve(); "
            "print(*{'torch', 'transformers', 'huggingface_hub'} & sys.modules.keys())"
        )
        done = subprocess.run(
            [sys.executable, "-c", code, tiny], capture_output=True, text=True, check=True, timeout=60
        )
        assert done.stdout.split() == []

    def test_opening_says_nothing(self, tiny: Path, capfd: pytest.CaptureFixture[str]) -> None:
        rows_of(encoder_of(tiny), "oh no " * 30)
        assert capfd.readouterr() == ("", "")


class TestHub:
    @pytest.mark.slow
    def test_a_name_brings_its_pooling_and_becomes_a_commit(self, own: Path, tmp_path: Path) -> None:
        describe(own, ("Transformer", "Pooling", "Normalize"), {"pooling_mode_mean_tokens": True})
        (own / "2_Normalize" / "config.json").unlink()  # as most have it
        here = TextSettings(model=str(own)).resolve()
        files = {str(path.relative_to(own)): path.read_bytes() for path in own.rglob("*") if path.is_file()}
        with serve({"owner/tiny": {**files, "README.md": b"", "onnx/config.json": b"{}"}}) as hub:
            settings = self.resolved("", {"HF_ENDPOINT": hub.url, "HF_HOME": str(tmp_path / "cache")})
            assert sorted(path for _, path in hub.fetched) == sorted(files)
        assert (settings.model, settings.revision, settings.identity) == ("owner/tiny", COMMIT, here.identity)
        assert settings.fingerprint() == here.fingerprint()
        assert self.resolved(COMMIT, {"HF_HUB_OFFLINE": "1", "HF_HOME": str(tmp_path / "cache")}) == settings

    def resolved(self, revision: str, environment: dict[str, str]) -> TextSettings:
        """What a process of its own gets: the hub's client reads its settings when it is imported."""
        command = [sys.executable, "-c", RESOLVE, revision]
        place = {**os.environ, "HF_HUB_OFFLINE": "0", "NO_PROXY": "*", **environment}
        done = subprocess.run(command, env=place, capture_output=True, text=True, check=False, timeout=60)
        assert done.returncode == 0, done.stderr
        return TextSettings.from_facts(json.loads(done.stdout))
