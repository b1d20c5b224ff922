"""What may be in a pickle comes back exactly, also as Python 2 wrote it; what may not never does anything."""

from __future__ import annotations

import pickle
import struct
from collections import OrderedDict, defaultdict
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from dclf.data import SourceError, UnsafePickleError
from dclf.data.importers import read_pickle
from dclf.data.importers.content import read_content

NUMBERS = st.one_of(hnp.integer_dtypes(), hnp.floating_dtypes(sizes=(16, 32, 64)), hnp.boolean_dtypes())
LEAVES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(allow_nan=False),
    st.text(),
    st.binary(),
    hnp.arrays(NUMBERS, hnp.array_shapes(min_dims=0, min_side=0), elements={"allow_nan": False}),
)
CONTENT = st.recursive(
    LEAVES,
    lambda inner: st.one_of(
        st.lists(inner), st.tuples(inner, inner), st.dictionaries(st.one_of(st.text(), st.integers()), inner)
    ),
    max_leaves=12,
)


def load(folder: Path, data: bytes) -> Any:
    (folder / "features.pkl").write_bytes(data)
    return read_pickle(folder / "features.pkl")


def assert_equal(actual: Any, expected: Any) -> None:
    assert type(actual) is type(expected)
    if isinstance(expected, np.ndarray):
        assert actual.dtype == expected.dtype
        np.testing.assert_array_equal(actual, expected)
    elif isinstance(expected, dict):
        assert list(actual) == list(expected)
        for key, value in expected.items():
            assert_equal(actual[key], value)
    elif isinstance(expected, (list, tuple)):
        assert len(actual) == len(expected)
        for one, other in zip(actual, expected, strict=True):
            assert_equal(one, other)
    else:
        assert actual == expected


@settings(max_examples=100)
@given(content=CONTENT, protocol=st.integers(2, 5))
def test_plain_content_comes_back_as_it_was(
    tmp_path_factory: pytest.TempPathFactory, content: Any, protocol: int
) -> None:
    assert_equal(load(tmp_path_factory.getbasetemp(), pickle.dumps(content, protocol)), content)


def test_shared_and_cyclic_containers_stay_so(tmp_path: Path) -> None:
    rows = np.arange(3.0)
    cyclic: list[Any] = [rows, {"rows": rows}]
    cyclic.append(cyclic)
    containers = load(tmp_path, pickle.dumps(cyclic))
    assert containers[2] is containers
    assert containers[0] is containers[1]["rows"]


def test_numpy_keys_and_ordered_dicts_become_plain(tmp_path: Path) -> None:
    content = OrderedDict([(np.int64(3), frozenset({1})), (np.str_("a"), np.float32(0.5))])
    assert_equal(load(tmp_path, pickle.dumps(content)), {3: frozenset({1}), "a": 0.5})


def python2_array(values: np.ndarray[Any, Any], code: str) -> bytes:
    """An array as Python 2 with NumPy 1 wrote it: old names, byte strings for types and data."""

    def string(text: bytes) -> bytes:
        return b"U" + bytes([len(text)]) + text if len(text) < 256 else b"T" + struct.pack("<i", len(text)) + text

    shape = b"(" + b"".join(b"K" + bytes([size]) for size in values.shape) + b"t"
    kind = b"cnumpy\ndtype\n(" + string(code.encode()) + b"K\x00K\x01tR(K\x03" + string(b"<") + b"NNNJ\xff\xff\xff\xff"
    kind += b"J\xff\xff\xff\xffK\x00tb"
    head = b"cnumpy.core.multiarray\n_reconstruct\n(cnumpy\nndarray\nK\x00\x85" + string(b"b") + b"tR"
    return head + b"(K\x01" + shape + kind + b"\x89" + string(values.tobytes()) + b"tb"


@pytest.mark.parametrize("code", ["f8", "f4", "i8", "u1"])
def test_what_python_2_wrote_is_read_byte_for_byte(tmp_path: Path, code: str) -> None:
    values = np.random.default_rng(0).integers(0, 200, (40, 6)).astype(code) / np.dtype(code).type(1)
    values = values.astype(code)
    listed = b"\x80\x02}(U\x06Ses01F" + python2_array(values, code) + b"U\x04caf\xe9c__builtin__\nset\n]K\x01a\x85Ru."
    content = load(tmp_path, listed)
    assert_equal(content["Ses01F"], values)
    assert content["caf\xe9"] == {1}


HOSTILE = {
    "a function by its name": b"cos\nsystem\n(S'touch RAN'\ntR.",
    "an instance by INST": b"(S'touch RAN'\nios\nsystem\n.",
    "an instance by OBJ": b"(cos\nsystem\nS'touch RAN'\no.",
    "a class by NEWOBJ": b"\x80\x02csubprocess\nPopen\n(S'touch RAN'\nt\x81.",
    "NumPy's own runner": b'cnumpy.testing\nrunstring\n(S\'open("RAN", "w")\'\n}tR.',
    "NumPy's compiler": b"cnumpy.f2py\ncompile\n(S'x'\ntR.",
    "NumPy's pickle loader": b"cnumpy\nload\n(S'RAN'\ntR.",
    "NumPy's exec through f2py": b'cnumpy.f2py.crackfortran\nmyeval\n(S\'open("RAN", "w")\'\ntR.',
    "a dotted name": b"\x80\x04\x8c\x05numpy\x8c\x0endarray.tofile\x93.",
    "a dotted name below an admitted one": b"\x80\x04\x8c\x07_codecs\x8c\x0fencode.__self__\x93.",
    "getattr": b"cbuiltins\ngetattr\n(cnumpy\nndarray\nS'tofile'\ntR.",
    "Python 2's eval": b'c__builtin__\neval\n(S\'open("RAN", "w")\'\ntR.',
    "Python 2's copy_reg": b"ccopy_reg\n_reconstructor\n(c__builtin__\nobject\nc__builtin__\nobject\nNtR.",
    "functools": b"cfunctools\npartial\n(cos\nsystem\ntR.",
    "a defaultdict's factory": b"ccollections\ndefaultdict\n(cos\nsystem\ntR.",
    "torch's loader": b"ctorch.serialization\nload\n(S'RAN'\ntR.",
    "torch's hooks": b"ctorch.utils.hooks\nRemovableHandle\n)R.",
    "our own names": b"cdclf.data.importers.safe_pickle\nread_pickle\n(S'RAN'\ntR.",
}


@pytest.mark.parametrize("case", HOSTILE, ids=str)
def test_a_name_outside_the_list_ends_the_reading(tmp_path: Path, case: str) -> None:
    ran = tmp_path / "ran"
    with pytest.raises(UnsafePickleError, match=r"features\.pkl: the pickle names .*nothing of it was run") as error:
        load(tmp_path, HOSTILE[case].replace(b"RAN", bytes(ran)))
    assert "take the features from a source you trust" in str(error.value)
    assert not ran.exists()


def test_the_payloads_would_run_in_a_trusting_reader(tmp_path: Path) -> None:
    ran = tmp_path / "ran"
    pickle.loads(HOSTILE["a function by its name"].replace(b"RAN", bytes(ran)))
    assert ran.exists()


TYPE_F8 = b"cnumpy\ndtype\n(S'f8'\nI0\nI1\ntR"
TYPE_S0 = b"cnumpy\ndtype\n(S'S0'\nI0\nI1\ntR"
BROKEN = {
    "ndarray called with a buffer": b"cnumpy\nndarray\n((I9\ntS'O'\ntR.",
    "a type with fields of objects": b"cnumpy\ndtype\n(S'O,i4'\nI0\nI1\ntR.",
    "a bare type": TYPE_F8 + b".",
    "a bare name": b"cnumpy\nndarray\n.",
    "state pushed onto a name": b"cnumpy\ndtype\n(N}S'__call__'\nI1\nstb.",
    "state pushed onto a type": TYPE_F8 + b"(I3\nS'evil'\ntb.",
    "a scalar of objects": b"cnumpy.core.multiarray\nscalar\n(cnumpy\ndtype\n(S'O'\nI0\nI1\ntRS'12345678'\ntR.",
    "more shape than data": b"cnumpy.core.numeric\n_frombuffer\n(S'12345678'\n" + TYPE_F8 + b"(I99\ntS'C'\ntR.",
    "a negative shape": b"cnumpy.core.numeric\n_frombuffer\n(S'12345678'\n" + TYPE_F8 + b"(I-1\nI-1\ntS'C'\ntR.",
    "zero-width strings": b"cnumpy.core.numeric\n_frombuffer\n(S''\n" + TYPE_S0 + b"(I999999999999\ntS'C'\ntR.",
    "a factory that is called": b"cbuiltins\nlist\n(S'abc'\ntR.",
    "a tensor without a storage": b"ctorch._utils\n_rebuild_tensor_v2\n(S'x'\nI0\n(I2\nt(I1\ntI00\nNtR.",
    "a storage that is text": b"ctorch._utils\n_rebuild_tensor_v2\n(ctorch.storage\n_load_from_bytes\n(S'x'\ntR"
    b"I0\n(I2\nt(I1\ntI00\nNtR.",
    "a bare storage": b"ctorch.storage\n_load_from_bytes\n(S'x'\ntR.",
    "a storage with state": b"ctorch.storage\n_load_from_bytes\n(S'x'\ntR}b.",
    "another codec": b"c_codecs\nencode\n(S'abc'\nS'rot13'\ntR.",
    "an array without data": b"cnumpy.core.multiarray\n_reconstruct\n(I1\ntR.",
    "an array inside a set": b"c__builtin__\nset\n((cnumpy.core.multiarray\n_reconstruct\n(I1\ntRltR.",
    "no pickle": b"PK\x03\x04 this is a zip",
    "text": b"Utterance,Speaker\n",
    "nothing": b"",
    "a persistent name": b"Psomething\n.",
    "an extension": b"\x80\x02\x82\x01.",
}


@pytest.mark.parametrize("case", BROKEN, ids=str)
def test_what_only_looks_like_arrays_is_refused(tmp_path: Path, case: str) -> None:
    with pytest.raises(SourceError, match=r"features\.pkl: is not a whole pickle of arrays and plain containers"):
        load(tmp_path, BROKEN[case])


@settings(max_examples=60)
@given(share=st.floats(0, 1, exclude_max=True), protocol=st.integers(2, 5))
def test_a_pickle_cut_anywhere_is_refused(
    tmp_path_factory: pytest.TempPathFactory, share: float, protocol: int
) -> None:
    whole = pickle.dumps({"a": [np.arange(30.0), "text"], "b": (1, 2)}, protocol)
    with pytest.raises(SourceError, match="truncated"):
        load(tmp_path_factory.getbasetemp(), whole[: int(share * len(whole))])


@settings(max_examples=200)
@given(data=st.data())
def test_a_damaged_pickle_never_fails_otherwise(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    damaged = bytearray(pickle.dumps({"a": [np.arange(4.0), np.array(["x", None])], "b": {1, 2}}, 2))
    for _ in range(data.draw(st.integers(1, 3))):
        damaged[data.draw(st.integers(0, len(damaged) - 1))] = data.draw(st.integers(0, 255))
    with suppress(SourceError, UnsafePickleError):
        load(tmp_path_factory.getbasetemp(), bytes(damaged))


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=r"nowhere\.pkl: cannot be read .*check the path"):
        read_pickle(tmp_path / "nowhere.pkl")


def test_defaultdicts_become_plain(tmp_path: Path) -> None:
    content = defaultdict(list, {"a": [np.float32(0.5)], "b": defaultdict(int, {3: 1})})
    assert_equal(load(tmp_path, pickle.dumps(content)), {"a": [0.5], "b": {3: 1}})


TENSORS = torch.arange(24.0).reshape(4, 6)
VALUES = {
    "whole": TENSORS,
    "a view": TENSORS[1:3, ::2],
    "transposed": TENSORS.T,
    "brain floats": torch.tensor([0.5, -3.0], dtype=torch.bfloat16),
    "whole numbers": torch.tensor([[1, 2]], dtype=torch.int64),
    "truths": torch.tensor([True, False]),
    "a parameter": torch.nn.Parameter(torch.ones(2)),
    "one number": torch.tensor(2.5),
    "nothing": torch.zeros(0, 3),
}


@pytest.mark.parametrize("protocol", [2, 4, 5])
@pytest.mark.parametrize("case", VALUES)
def test_tensors_become_arrays(tmp_path: Path, case: str, protocol: int) -> None:
    tensor = VALUES[case]
    expected = (tensor.float() if tensor.dtype == torch.bfloat16 else tensor).detach().numpy()
    assert_equal(load(tmp_path, pickle.dumps({"rows": [tensor]}, protocol)), {"rows": [expected]})
    for zipped in (True, False):
        torch.save({"rows": [tensor], "n": 3}, tmp_path / "any.name", _use_new_zipfile_serialization=zipped)
        assert_equal(read_content(tmp_path / "any.name"), {"rows": [expected], "n": 3})


def test_a_tensor_stays_inside_its_storage(tmp_path: Path) -> None:
    whole = pickle.dumps(torch.arange(6.0), 2)
    shape = b"K\x06\x85"
    assert whole.count(shape) == 1
    with pytest.raises(SourceError, match="a tensor reaches beyond its storage"):
        load(tmp_path, whole.replace(shape, b"K\x07\x85"))


@pytest.mark.parametrize("zipped", [True, False])
def test_code_in_a_torch_archive_never_runs(tmp_path: Path, zipped: bool) -> None:
    ran = tmp_path / "ran"

    class Payload:
        def __reduce__(self) -> Any:
            return Path.mkdir, (ran,)

    torch.save({"rows": Payload()}, tmp_path / "bad.pt", _use_new_zipfile_serialization=zipped)
    with pytest.raises(
        UnsafePickleError, match=r"bad\.pt: the torch archive .*; only tensors and plain containers are"
    ):
        read_content(tmp_path / "bad.pt")
    assert not ran.exists()


def test_code_in_a_storage_never_runs(tmp_path: Path) -> None:
    inner = b"cos\nsystem\n(S'touch %s'\ntR." % bytes(tmp_path / "ran")
    text = b"c_codecs\nencode\n(X" + struct.pack("<I", len(inner)) + inner + b"X\x06\x00\x00\x00latin1tR"
    storage = b"ctorch.storage\n_load_from_bytes\n(" + text + b"tR"
    with pytest.raises(SourceError):
        load(tmp_path, b"\x80\x02ctorch._utils\n_rebuild_tensor_v2\n(" + storage + b"K\x00K\x01\x85K\x01\x85\x89NtR.")
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize("cut", [4, 100])
def test_a_torch_archive_that_is_cut_is_named(tmp_path: Path, cut: int) -> None:
    torch.save({"rows": torch.ones(50)}, tmp_path / "features.pt")
    whole = (tmp_path / "features.pt").read_bytes()
    (tmp_path / "features.pt").write_bytes(whole[:cut])
    with pytest.raises(SourceError, match=r"features\.pt: is no whole torch archive"):
        read_content(tmp_path / "features.pt")


def test_an_array_file_is_told_by_its_first_bytes(tmp_path: Path) -> None:
    with (tmp_path / "rows.pkl").open("wb") as stream:
        np.save(stream, np.eye(2))
    np.testing.assert_array_equal(read_content(tmp_path / "rows.pkl"), np.eye(2))
    with pytest.raises(SourceError, match=r"none\.npy: cannot be read .*check the path"):
        read_content(tmp_path / "none.npy")
