"""Table files edited as a deliberate forger would, and what their refusal must say."""

import io
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest

from tanhlut import ModeTable, TableError
from tanhlut.file import schema


def edit(path: Path, change: Callable[[h5py.File], object]) -> None:
    """Change a file through HDF5 and make its header match again, as a deliberate forger would."""
    buffer = io.BytesIO(path.read_bytes())
    with h5py.File(buffer, "r+") as file:
        change(file)
    body = buffer.getvalue()[schema.USER_BLOCK :]
    path.write_bytes(schema.header(body) + body)


def replace(name: str, array: np.ndarray, **options: object) -> Callable[[h5py.File], None]:
    def change(file: h5py.File) -> None:
        del file["mode"][name]
        file["mode"].create_dataset(name, data=array, **options)

    return change


def check_refused(path: Path, *words: str) -> None:
    with pytest.raises(TableError) as caught:
        ModeTable.load(path)
    for word in (str(path), *words):
        assert word in str(caught.value)
