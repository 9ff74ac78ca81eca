"""A polynomial of `surrogate` over a device vector, by Horner's rule: run as a module for each (`gpu_ops`), by Triton.

Given by whoever runs it: for each power of y, the highest first, where its row begins and how long it is, as the bytes
of two numbers, the first the lowest: in Triton 3.3 no constant is a tuple. The loops are unrolled; a coefficient is
one number for the whole block.
"""

from typing import TYPE_CHECKING

import triton
import triton.language as tl

if TYPE_CHECKING:
    from tanhlut.compute.gpu_ops import FIRSTS, LENGTHS, ROWS


@triton.jit
def row(data, u, K: tl.constexpr):  # noqa: N803, Triton's custom for what is known when it compiles
    length: tl.constexpr = (LENGTHS >> 8 * K) & 255
    last: tl.constexpr = ((FIRSTS >> 8 * K) & 255) + length - 1
    total = tl.load(data + last)
    for k in tl.static_range(1, length):
        total = tl.fma(total, u, tl.load(data + (last - k)))
    return total


@triton.jit
def edge(data, u):
    return row(data, u, 0)


@triton.jit
def value(data, y, u):
    total = row(data, u, 0)
    for k in tl.static_range(1, ROWS):
        total = tl.fma(total, y, row(data, u, k))
    return total


@triton.jit
def row_slope(data, u, K: tl.constexpr):  # noqa: N803
    length: tl.constexpr = (LENGTHS >> 8 * K) & 255
    last: tl.constexpr = ((FIRSTS >> 8 * K) & 255) + length - 1
    slope, total = 0.0 * u, tl.load(data + last) + 0.0 * u
    for k in tl.static_range(1, length):
        slope = tl.fma(slope, u, total)
        total = tl.fma(total, u, tl.load(data + (last - k)))
    return total, slope


@triton.jit
def slopes(data, y, u):
    """With the derivatives by y and u."""
    total, by_u = row_slope(data, u, 0)
    by_y = 0.0 * y
    for k in tl.static_range(1, ROWS):
        by_y = tl.fma(by_y, y, total)
        own, own_by_u = row_slope(data, u, k)
        total, by_u = tl.fma(total, y, own), tl.fma(by_u, y, own_by_u)
    return total, by_y, by_u
