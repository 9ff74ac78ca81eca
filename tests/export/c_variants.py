"""Headers that are wrong by a little, which their own self-test must notice: a number moved to its neighbouring float,
a product fused with the sum it goes into. And the points by which it does: `python tests/export/c_variants.py` looks
for them anew, when the text has changed, and prints what `tablegen/export/c_points.py` holds.
"""

import ctypes
import re
import subprocess
import tempfile
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from tablegen.export import c_header, c_points
from tanhlut import ModeTable

FLOAT = re.compile(r"(?<![\w.])\d+\.\d+(e[+-]\d+)?(?=f)")
DEFINED = re.compile(r"(?<=^#define )(TANHLUT_\w+) \(?(-?[\w.+-]+?)\)?$", re.M)
# What is only compared or clipped with is no coefficient: zero, the largest float, the 1 that a step or a mean is
# clipped to, and that of an infinite loc, which is clipped to a bound.
IDLE = {"0.0", "3.4028235e+38"}
CLIP = re.compile(r"(?:at_most\(.*, |select\(part\w*, )(1\.0)f(?=(?:\), 0\.0f|, part\w*|, \w+at_least.*)?\)*;$)", re.M)
# Neither the numbers of a table, of which there are too many, nor what stands in for fma.
APART = re.compile(r"^static const .*?^};|^#if defined\(TANHLUT_NO_FMA\).*?^#else", re.M | re.S)
EXACT = c_header.Contents("exact")


def numbers(header: str) -> Iterator[tuple[str, str]]:
    """(which, header) for every number of the formulas moved: named ones to the floats or integers beside them, those
    that stand in a formula in their last digit."""
    begin, end = header.index("tanhlut_absolute(float x)"), header.index("/* out[i] = ")
    for found in DEFINED.finditer(header, begin, end):
        for towards in (-np.inf, np.inf):
            yield f"{found[1]} towards {towards}", replaced(header, found, 2, beside(found[2], towards))
    clips = {clip.start(1) for clip in CLIP.finditer(header)}
    apart = [part.span() for part in APART.finditer(header)]
    for found in FLOAT.finditer(header, header.index("static", begin), end):
        place = found.start()
        if found[0] in IDLE or place in clips or any(first <= place < last for first, last in apart):
            continue
        if header[header.rfind("\n", 0, place) + 1] != "#":
            assert "e" not in found[0]
            last = str((int(found[0][-1]) + 1) % 10)
            yield f"{found[0]} at {place}", replaced(header, found, 0, found[0][:-1] + last)


def beside(digits: str, towards: float) -> str:
    """The next number."""
    if digits.endswith("f") and not digits.startswith("0x"):
        return repr(float(np.nextafter(np.float32(digits[:-1]), np.float32(towards)))) + "f"
    return str(int(digits, 0) + (1 if towards > 0 else -1))


def replaced(header: str, found: re.Match[str], group: int, digits: str) -> str:
    return header[: found.start(group)] + digits + header[found.end(group) :]


def fused(header: str, contents: c_header.Contents = EXACT) -> Iterator[tuple[str, str]]:
    """(which, header) for every product fused with the sum that it goes into, as a compiler would."""
    printer = c_header.printed(contents)
    for name, recorded in printer.recorded.items():
        for value in recorded.values():
            for side in range(2):
                if value.form not in ("{} + {}", "{} - {}") or value.operands[side].form != "{} * {}":
                    continue
                product, other = value.operands[side], value.operands[1 - side]
                if any("0.5f" in (part.form, *(inner.form for inner in part.operands)) for part in product.operands):
                    continue  # a half is exact
                minus = value.form == "{} - {}"
                kept = value.form, value.operands
                first, last = ("-({})" if minus and side == turn else "{}" for turn in (1, 0))
                value.form = f"tanhlut_fma({first}, {{}}, {last})"
                value.operands = (*product.operands, other)
                changed = recorded.printed()
                value.form, value.operands = kept
                assert printer.functions[name] in header
                what = f"{name}: {product.name or product.form} into {value.name or value.form}"
                yield what, header.replace(printer.functions[name], changed)


def together(headers: list[str]) -> str:
    """C with all of them, each with names of its own."""
    return "\n".join(re.sub("tanhlut_", f"v{k}_", re.sub("TANHLUT_", f"V{k}_", text)) for k, text in enumerate(headers))


def pool(count: int, seed: int) -> NDArray[np.uint32]:
    """(count, 2) words of loc and scale: everywhere, at the cusp, at the seam, where scale is tiny."""
    rng = np.random.default_rng(seed)
    part = count // 5
    x = np.float32(1.25) + rng.integers(-3, 4, part) * np.float32(2.0**-23)
    small = np.exp(rng.uniform(-12, -1, part))
    loc = [rng.normal(size=part), np.exp(rng.uniform(-60, 2, part)), np.exp(rng.uniform(-20, 0, part))]
    scale = [
        rng.uniform(0, 2, part),
        np.exp(rng.uniform(-8, 1.2, part)),
        np.sqrt(0.5) + np.exp(rng.uniform(-17, -1, part)),
    ]
    loc += [x - 2.0 * small**2 * np.tanh(1.25), rng.uniform(0.9, 1.5, part)]
    scale += [small, np.exp(rng.uniform(-9, -2, part))]
    signs = rng.choice([-1.0, 1.0], 5 * part)
    return np.stack([np.concatenate(loc) * signs, np.concatenate(scale)], 1).astype(np.float32).view(np.uint32)


CALL = """
void all%d(const float (*asked)[2], float (*out)[3], size_t n)
{
    size_t i;
    for (i = 0; i < n; ++i) {
        out[i][0] = v%d_start(asked[i][0], asked[i][1]);
        out[i][1] = v%d_mode(asked[i][0], asked[i][1]);
        out[i][2] = v%d_mode_bounded(asked[i][0], asked[i][1], %ff, %ff);
    }
}
"""


def main(each: int = 5) -> None:
    """Print points at which as many fused products as can be show themselves, each at no fewer than `each`."""
    text = c_header.header(ModeTable.default(), "exact", "tests").decode()
    texts = [text, *(changed for _, changed in fused(text))]
    calls = "".join(CALL % (k, k, k, k, c_points.LOW, c_points.HIGH) for k in range(len(texts)))
    points = pool(400_000, 0)
    found = np.empty((len(texts), len(points), 3), np.float32)
    with tempfile.TemporaryDirectory() as folder:
        command = ["gcc", "-O2", "-march=native", "-shared", "-fPIC", "-x", "c", "-", "-o", f"{folder}/all.so"]
        subprocess.run(command, input=together(texts) + calls, text=True, check=True)
        library = ctypes.CDLL(f"{folder}/all.so")
        for k in range(len(texts)):
            asked, out = (ctypes.c_void_p(array.ctypes.data) for array in (points, found[k]))
            library[f"all{k}"](asked, out, ctypes.c_size_t(len(points)))
    words = found.view(np.uint32)
    noticed = (words[1:] != words[0]).any(2)
    wanted = np.full(len(noticed), each)
    while (wanted > 0).any():
        best = int((noticed & (wanted > 0)[:, None]).sum(0).argmax())
        print(tuple(float(str(number)) for number in points[best].view(np.float32)), noticed[:, best].sum())
        wanted -= noticed[:, best]
        noticed[:, best] = False


if __name__ == "__main__":
    main()
