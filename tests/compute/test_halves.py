"""float16 and bfloat16 as the CPU's kernels read and write them: all of them, against torch's own conversions."""

import re

import pytest
import torch
from test_cpu import AVX2, AVX512, NEON, every_target  # noqa: F401  # a fixture, for the whole module
from torch import Tensor

from tanhlut.compute import calls, cpu, machine, vectors
from tanhlut.compute.cpu_ops import TEXTS
from tanhlut.compute.strips import Strips
from tanhlut.methods import COMPILED, name_of

HALVES = (torch.float16, torch.bfloat16)


def multiplied(a: Tensor, b: Tensor) -> Tensor:
    """a·b by a kernel of our own: read, multiplied in float32, written."""
    _, kind, stored = TEXTS[name_of(a.dtype)]
    strips = Strips(kind, 2, 1, stored=stored)
    with strips.arrays() as (left, right, product), strips.each() as i:
        product[i] = left[i] * right[i]
    name = calls.on_addresses(strips.function, 5, "")
    kernel, out = calls.builtin(name, *machine.compiled(strips.module, name)), torch.empty_like(a)
    kernel(a.data_ptr(), b.data_ptr(), out.data_ptr(), 0, a.numel(), 1)
    return out


@pytest.mark.parametrize("dtype", HALVES)
@pytest.mark.parametrize("n", [1 << 16, 37, 5])
def test_all_are_read_and_rounded_as_torch_does(dtype: torch.dtype, n: int) -> None:
    """Every number by 1, and by others: ties, subnormals, what overflows and what vanishes, infinities, NaN."""
    every = torch.arange(1 << 16).to(torch.int16).view(dtype)[-n:]
    for factor in (1.0, -1.0, 1.0 + 2.0**-7, 0.75, 1e-3, 3e-5, 40.0, 3e38, 0.0, torch.inf, torch.nan):
        other = torch.full_like(every, min(factor, torch.finfo(dtype).max))
        found, wanted = multiplied(every, other), (every.float() * other.float()).to(dtype)
        same = found.view(torch.int16) == wanted.view(torch.int16)
        assert (same | (found.isnan() & wanted.isnan())).all()


def test_a_nan_of_any_bits_stays_one() -> None:
    """Rounding the upper half of a NaN would carry into its sign and leave −0."""
    _, kind, stored = TEXTS["bfloat16"]
    strips = Strips(kind, 1, 1, stored=stored)
    with strips.arrays() as (given, out), strips.each() as i:
        out[i] = vectors.as_float(vectors.as_word(given[i]) | 0x7FFFFFFF, kind)
    name = calls.on_addresses(strips.function, 4, "")
    ones, found = torch.ones(37, dtype=torch.bfloat16), torch.zeros(37, dtype=torch.bfloat16)
    calls.builtin(name, *machine.compiled(strips.module, name))(ones.data_ptr(), found.data_ptr(), 0, 37, 1)
    assert found.isnan().all()


@pytest.mark.parametrize("where", [AVX2, AVX512, NEON], ids=lambda where: where[1])
def test_conversions_are_instructions(where: tuple[str, str]) -> None:
    """On each kind of processor of vectors, and none of a function, which might not be there."""
    for real, converts in (("float16", r"vcvtph2ps|fcvtl"), ("bfloat16", r"vpslld|v?shll?\s")):
        text = machine.assembly(cpu.written(real, COMPILED.index("exact"), False).module, machine.target(*where))
        assert re.search(converts, text)
        assert not re.search(r"\s(callq?|blr?)\s", text)
