"""The shipped surrogates' numbers, read and checked as torch's are, but without torch."""

from functools import cache

import numpy as np

from tanhlut.errors import TableError
from tanhlut.file import reader
from tanhlut.file.moments import Moments
from tanhlut.file.shipped import shipped
from tanhlut.formula import surrogate
from tanhlut.jax.text import Numbers


@cache
def numbers() -> Numbers:
    """Read once in a process.

    Raises:
        TableError: the shipped file is missing, damaged or edited.
    """
    found = reader.read(shipped()).moments
    if found is None:
        raise TableError(f"{shipped()}: holds no moments: reinstall tanhlut")
    moments = Moments(found.vector, found.witnesses, found.metadata, found.double)
    if moments.digest != found.digest:
        raise TableError(f"{shipped()}: the moments' digest is {found.digest}, not {moments.digest}: reinstall tanhlut")
    return Numbers(tuple(map(np.float32, moments.vector[: surrogate.PATCHES])), moments.vector)
