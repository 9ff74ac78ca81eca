"""A method as one self-contained C header: C99 and C++, the CPU kernel's bits, no heap, and for `exact` no table.

Its formulas are the text, printed (`c_printer`, `c_mode`). Here is the rest: what the operations of the text are in C
(`c_parts`), the tables, the self-test (`c_points`), and what the header says of itself.
"""

import textwrap
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tablegen.export import c_mode, c_parts, c_points
from tablegen.export.c_mode import Table
from tablegen.export.c_printer import PREFIX, Printer, Value, atom, literal, plain_ascii
from tablegen.show.words import bounds_in_words
from tanhlut import __version__
from tanhlut.file.table import ModeTable
from tanhlut.formula import coefficients, layout, operations, plain
from tanhlut.formula.coefficients import SINGLE
from tanhlut.formula.excess import excess
from tanhlut.formula.instantiate import instantiate
from tanhlut.methods import COMPILED, Method, steps

# Numbers whose names say no more than their digits.
_DIGITS = {"ZERO", "HALF", "ONE", "ONE_AND_A_HALF", "THREE"}
# The operations that are functions of their own in C, with what they give.
_CALLS = {"fma": "float", "select": "float", "absolute": "float", "at_most": "float", "at_least": "float"} | {
    "invalid_if": "float", "bits": "int32_t", "floor": "float",
}  # fmt: skip


def header(table: ModeTable, method: Method, command: str) -> bytes:
    """The bytes of a header with `tanhlut_mode` and its kin, in ASCII. They depend on nothing but what is given.

    Raises:
        ValueError: the method has no kernel, or the table is not laid out as one needs it.
    """
    if method not in COMPILED:
        raise ValueError(f"method {method!r} cannot be written as C, only {', '.join(COMPILED)}: try --format onnx")
    if method != "exact" and table.packed is None:
        raise ValueError(
            "the table's nodes are not laid out for kernels: rebuild it with `tablegen build`, or use exact"
        )
    found = None if method == "exact" or table.packed is None else c_mode.arrays(table.packed)
    printer = printed(method, found)
    expected = c_mode.functions(plain.SINGLE, method, found)
    parts = [
        _about(table, method, command),
        c_parts.HEAD,
        "".join(f"#define {name} {_bracketed(value)}\n" for name, value in printer.numbers.items()),
        "" if found is None else _tables(found),
        *printer.functions.values(),
        c_parts.ARRAY,
        c_parts.SELFTEST % _expectations(printer, expected, found),
        c_parts.TAIL,
    ]
    return "\n".join(part for part in parts if part).encode("ascii")


def printed(method: Method, found: Table | None) -> Printer:
    """The method's functions and those of the text that they need."""
    printer = Printer(public=("mode", "mode_bounded"), instead={"excess": ("TANHLUT_NO_FMA", excess)})
    made = c_mode.functions(_text(printer), method, None if found is None else _named(printer, found))
    loc, scale = atom("float", "loc"), atom("float", "scale")
    made.start(loc, scale)
    made.mode(loc, scale)
    return printer


def _text(printer: Printer) -> Any:
    """The text, with operations that `printer` records."""

    def number(name: str, value: float) -> Value:
        return atom("float", literal(value, "float")) if name in _DIGITS else printer.number(name, value)

    def call(name: str) -> Callable[..., Value]:
        def made(*operands: Any) -> Value:
            return Value(_CALLS[name], f"{PREFIX}{name}({', '.join(['{}'] * len(operands))})", *operands)

        return made

    def horner(name: str, given: tuple[float, ...]) -> Any:
        def polynomial(x: Any) -> Any:
            total, *rest = (printer.number(f"{name}_{k}", value) for k, value in enumerate(given))
            for coefficient in rest:
                total = calls["fma"](total, x, coefficient)
            return total

        polynomial.__name__, polynomial.__doc__ = name, getattr(operations, name).__doc__
        return printer.element(polynomial)

    calls = {name: call(name) for name in _CALLS}
    numbers = coefficients.numbers(float, SINGLE) | layout.numbers(float)
    given = {
        **{name: number(name, value) for name, value in numbers.items()},
        **calls,
        "element": printer.element,
        "divide": lambda a, b: Value("float", "{} / {}", a, b),
        "numerator": horner("numerator", SINGLE.numerator),
        "denominator": horner("denominator", SINGLE.denominator),
        "power_of_two": horner("power_of_two", SINGLE.exp2),
        "from_bits": lambda word, like: Value("float", f"{PREFIX}from_bits({{}})", word),
        "integer": lambda x: x if x.kind == "int32_t" else Value("int32_t", "(int32_t){}", x),
        "real": lambda word: Value("float", "(float){}", word),
        "load": lambda array, key: Value(array.kind, f"{array.form}[{{}}]", key),
    }
    return instantiate("c", given, "bits", "element")


def _named(printer: Printer, found: Table) -> Table:
    """A table's parts as the C names them."""
    ends = ("FIRST_LOC", "LAST_LOC", "FIRST_DELTA", "LAST_DELTA")
    bounds = ("LOC_MAX", "SCALE_MIN", "SCALE_MAX")
    return Table(
        atom("int32_t", f"{PREFIX}loc_index"),
        atom("int32_t", f"{PREFIX}delta_index"),
        atom("float", f"{PREFIX}values"),
        printer.number("COLUMNS", found.columns),
        tuple(printer.number(name, float(value)) for name, value in zip(ends, found.ends, strict=True)),
        tuple(printer.number(name, float(value)) for name, value in zip(bounds, found.bounds, strict=False)),
    )


def _tables(found: Table) -> str:
    """Their declarations, and the operations that only they need."""
    words = [[literal(word, "int32_t") for word in index.tolist()] for index in (found.loc_index, found.delta_index)]
    values = [literal(value, "float") for value in found.values]
    declared = zip(
        ("int32_t", "int32_t", "float"), ("loc_index", "delta_index", "values"), (*words, values), strict=True
    )
    tables = (
        f"static const {kind} {PREFIX}{name}[{len(numbers)}] TANHLUT_FLASH = {{\n{_lines(numbers)}\n}};\n"
        for kind, name, numbers in declared
    )
    return "\n".join([*tables, c_parts.FLOOR])


def _expectations(printer: Printer, expected: c_mode.Functions, found: Table | None) -> dict[str, Any]:
    """What the self-test asks for, and what NumPy makes of it by the text."""
    loc, scale = np.array(c_points.POINTS, np.float32).T
    bounds = np.float32(c_points.LOW), np.float32(c_points.HIGH)
    with np.errstate(all="ignore"):
        answers = expected.start(loc, scale), expected.mode(loc, scale), expected.mode_bounded(loc, scale, *bounds)
    words = np.stack([np.ascontiguousarray(part, np.float32).view(np.uint32) for part in (loc, scale, *answers)], 1)
    floats = {name: value for name, value in printer.numbers.items() if isinstance(value, float)}
    whole = {name: value for name, value in printer.numbers.items() if isinstance(value, int)}
    arrays = [("numbers", np.array([*floats.values()], np.float32)), ("counts", np.array([*whole.values()], np.int32))]
    if found is not None:
        named = ("loc_index", found.loc_index), ("delta_index", found.delta_index), ("values", found.values)
        arrays += [(f"{PREFIX}{name}", array) for name, array in named]
    return {
        "count": len(words),
        "factor": c_parts.FACTOR,
        "rows": "\n".join("    {" + ",".join(f"0x{word:08X}" for word in row) + "}," for row in words.tolist()),
        "numbers": _lines(floats, 8),
        "counts": _lines(whole, 8),
        "sums": "".join(_summed(name, array) for name, array in arrays),
        "low": literal(c_points.LOW, "float"),
        "high": literal(c_points.HIGH, "float"),
    }


def _summed(name: str, array: NDArray[Any]) -> str:
    """The lines of the self-test that add up an array's words."""
    total = 0
    for word in array.view(np.uint32).tolist():
        total = ((total ^ word) * c_parts.FACTOR) & 0xFFFFFFFF
    word = f"{name}[i]" if array.dtype == np.int32 else f"{PREFIX}bits({name}[i])"
    return c_parts.SUM % {"size": array.size, "word": word, "total": total}


def _about(table: ModeTable, method: Method, command: str) -> str:
    """The comment at the top."""
    try:
        proven = c_parts.PROVEN % table.error_bound(method)
    except ValueError:
        proven = "nothing of this method on this table: see tablegen verify"
    rows, columns = table.values.shape
    inside = "none inside; that of the file was" if method == "exact" else "inside:"
    lines = {
        "version": f"tanhlut {__version__}",
        "command": plain_ascii(command),
        "method": f"{method}: {_summary(table, method)}",
        "proven": proven,
        "bits": f'those of tanhlut.mode(..., method="{method}", backend="cpu") in float32',
        "table": f"{inside} {rows} x {columns} nodes, sha256 {table.digest}",
        "gives": c_parts.GIVES,
        "macros": c_parts.MACROS,
    }
    told = (textwrap.fill(f"{name:9}{words}", 114, subsequent_indent=" " * 9) for name, words in lines.items())
    text = "\n".join([c_parts.TITLE, "", *told, "", c_parts.LICENCE.strip()])
    return textwrap.indent(text, " * ", lambda _: True).replace(" * \n", " *\n").replace(" * ", "/* ", 1) + "\n */"


def _summary(table: ModeTable, method: Method) -> str:
    """What the method does, in words."""
    bounded = method != "exact" and not table.bounds.whole_plane
    number = COMPILED.index(method)
    count = steps(number, bounded and method != "bilinear")
    then = f", then {count} Halley step{'s' * (count > 1)}" if count else ""
    outside = f"; covers {bounds_in_words(table.bounds)}, elsewhere exact" if bounded else ""
    return ("a closed-form start" if method == "exact" else "four corners of a table") + then + plain_ascii(outside)


def _bracketed(number: float) -> str:
    digits = literal(number, "int32_t" if isinstance(number, int) else "float")
    return f"({digits})" if digits[0] in "-(" else digits


def _lines(words: Iterable[str], indent: int = 4) -> str:
    space = " " * indent
    return textwrap.fill(", ".join(words), 116, initial_indent=space, subsequent_indent=space, break_on_hyphens=False)
