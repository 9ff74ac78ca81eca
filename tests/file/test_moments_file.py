"""The group /moments of a file: that it comes back as it was, and that a stranger's is refused."""

import pickle
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest
import torch

from edits import check_refused, edit
from tablegen import store
from tanhlut import ModeTable, mean
from tanhlut.file import schema
from tanhlut.file.moments import Moments


@pytest.fixture
def path(coarse: ModeTable, tmp_path: Path) -> Path:
    found = tmp_path / "moments.h5"
    found.write_bytes(store.image(coarse.with_moments(ModeTable.default().moments)))
    return found


def test_a_file_gives_back_the_moments(path: Path) -> None:
    own, found = ModeTable.default().moments, ModeTable.load(path).moments
    assert own is not None
    for copy in (found, pickle.loads(pickle.dumps(own))):
        assert copy is not None
        assert copy.digest == own.digest
        assert copy.metadata == own.metadata
        np.testing.assert_array_equal(copy.vector, own.vector)
        for name, witness in own.witnesses.items():
            np.testing.assert_array_equal(copy.witnesses[name], witness)
        with pytest.raises(ValueError, match="read-only"):
            copy.vector[0] = 1.0
        with pytest.raises(AttributeError, match="immutable"):
            copy.digest = ""
    loc, scale = torch.randn(10), torch.rand(10)
    assert torch.equal(mean(loc, scale, table=ModeTable.load(path)), mean(loc, scale))


def number(place: int, value: float) -> Callable[[h5py.File], None]:
    def change(file: h5py.File) -> None:
        file["moments/numbers"][place] = value

    return change


def shaped(name: str, *shape: int) -> Callable[[h5py.File], None]:
    def change(file: h5py.File) -> None:
        old = file["moments"][name]
        dtype = old.dtype
        del file["moments"][name]
        file["moments"].create_dataset(name, data=np.zeros(shape, dtype))

    return change


def attribute(name: str, value: object) -> Callable[[h5py.File], None]:
    return lambda file: file["moments"].attrs.__setitem__(name, value)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (number(0, np.nan), ["moments", "NaN"]),
        (number(-1, np.inf), ["moments", "NaN or over"]),
        (number(3, 1e30), ["moments", "NaN or over"]),
        (number(3, 0.25), ["moments: digest"]),
        (lambda file: file["moments/mean_witness"].__setitem__((0, 0), np.nan), ["witness 'mean'", "NaN"]),
        (lambda file: file["moments/mean_witness"].__setitem__((0, 0), 0.5), ["moments: digest"]),
        (shaped("numbers", 7), ["numbers"]),
        (shaped("log_cosh_witness", 7), ["log_cosh_witness"]),
        (shaped("mean_witness", 1, 3), ["mean_witness"]),
        (lambda file: file["moments"].__delitem__("numbers"), ["numbers"]),
        (attribute("mean_bound", np.float64("nan")), ["mean_bound"]),
        (attribute("entropy_bound", np.float64(0.0)), ["entropy_bound"]),
        (attribute("variance_bound", np.float64(2.0)), ["variance_bound"]),
        (attribute("mean_bound", np.float64(1e-9)), ["moments: digest"]),
        (attribute("chart", "another"), ["chart"]),
        (lambda file: file["moments"].attrs.__delitem__("command"), ["command"]),
    ],
)
def test_a_strangers_moments_are_refused(path: Path, change: Callable[[h5py.File], None], words: list[str]) -> None:
    edit(path, change)
    check_refused(path, *words)


def test_what_is_no_vector_is_refused() -> None:
    own = ModeTable.default().moments
    assert own is not None
    with pytest.raises(ValueError, match="witnesses"):
        Moments(own.vector.copy(), {}, dict(own.metadata), own.double.copy())
    with pytest.raises(ValueError, match="float32"):
        Moments(own.vector.astype(np.float64), dict(own.witnesses), dict(own.metadata), own.double.copy())
    assert set(own.metadata) == set(schema.MOMENTS_METADATA)
