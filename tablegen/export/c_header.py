"""A method as one self-contained C header: C99 and C++, the CPU kernel's bits, no heap, and for `exact` no table.

Its formulas are the text, printed (`c_printer`, `c_mode`). Here is the rest: what the operations of the text are in C
(`c_parts`), the tables, the self-test (`c_points`), and what the header says of itself.
"""

import textwrap
from collections.abc import Callable, Collection, Iterable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from tablegen.export import c_mean, c_mode, c_parts, c_points
from tablegen.export.c_mode import Table
from tablegen.export.c_printer import PREFIX, Printer, Value, atom, literal, plain_ascii
from tablegen.show.words import bounds_in_words
from tanhlut import __version__
from tanhlut.file.table import ModeTable
from tanhlut.formula import coefficients, layout, operations, plain, surrogate
from tanhlut.formula.coefficients import SINGLE
from tanhlut.formula.excess import excess
from tanhlut.formula.functions import FILES
from tanhlut.formula.instantiate import instantiate
from tanhlut.methods import COMPILED, Method

QUANTITIES = ("mode", "mean")
MEAN = f"{PREFIX}mean_numbers"
# Numbers whose names say no more than their digits.
_DIGITS = {"ZERO", "HALF", "ONE", "TWO", "THREE", "NINE", "INFINITY"}
# The operations that are functions of their own in C, with what they give.
_CALLS = {"fma": "float", "select": "float", "absolute": "float", "at_most": "float", "at_least": "float"} | {
    "invalid_if": "float", "bits": "int32_t", "floor": "float",
}  # fmt: skip


class Contents(NamedTuple):
    """What a header is made of: a method and its table, the mean's numbers."""

    method: Method | None
    table: Table | None = None
    mean: NDArray[np.float32] | None = None

    @property
    def quantities(self) -> list[str]:
        return ["mode"] * (self.method is not None) + ["mean"] * (self.mean is not None)

    def functions(self, text: Any, table: Table | None, mean: Any) -> dict[str, Callable[..., Any]]:
        """The functions in the operations of `text`, by name; `table` and `mean` as those take them."""
        found: dict[str, Callable[..., Any]] = {}
        if self.method is not None:
            found |= c_mode.functions(text, self.method, table)._asdict()
        return found if self.mean is None else found | c_mean.functions(text, mean)._asdict()


def header(table: ModeTable, method: Method, command: str, quantities: Collection[str] = ("mode",)) -> bytes:
    """The bytes of a header with `tanhlut_mode` and its kin, in ASCII. They depend on nothing but what is given.

    Args:
        method: of the mode.
        quantities: "mode", "mean" or both.

    Raises:
        ValueError: the method has no kernel, or the table is not laid out as one needs it, or has no moments; another
            quantity.
    """
    for name in quantities:
        if name not in QUANTITIES:
            raise ValueError(
                f"quantity {name!r} cannot be written as C, only {', '.join(QUANTITIES)}: try --format onnx"
            )
    contents = Contents(None)
    if "mode" in quantities:
        if method not in COMPILED:
            raise ValueError(f"method {method!r} cannot be written as C, only {', '.join(COMPILED)}: try --format onnx")
        packed = None if method == "exact" else table.interpolated(method).packed
        if method != "exact" and packed is None:
            raise ValueError(
                "the table's nodes are not laid out for kernels: rebuild it with `tablegen build`, or use exact"
            )
        contents = Contents(method, None if packed is None else c_mode.arrays(packed))
    if "mean" in quantities:
        contents = contents._replace(mean=c_mean.numbers(table))
    printer = printed(contents)
    parts = [
        _about(table, contents, command),
        c_parts.HEAD,
        "".join(f"#define {name} {_bracketed(value)}\n" for name, value in printer.numbers.items()),
        *(_declared(*part) for part in _arrays(contents)),
        "" if contents.table is None else c_parts.FLOOR,
        *printer.functions.values(),
        *(c_parts.ARRAY % {"name": name} for name in contents.quantities),
        c_parts.SELFTEST % _expectations(printer, contents),
        c_parts.TAIL,
    ]
    return "\n".join(part for part in parts if part).encode("ascii")


def printed(contents: Contents) -> Printer:
    """The functions of the header and those of the text that they need."""
    public = [f"{name}{end}" for name in contents.quantities for end in ("", "_bounded")]
    printer = Printer(public, instead={"excess": ("TANHLUT_NO_FMA", excess)})
    table = None if contents.table is None else _named(printer, contents.table)
    loc, scale = atom("float", "loc"), atom("float", "scale")
    for name, function in contents.functions(_text(printer), table, MEAN).items():
        if not name.endswith("_bounded"):  # which the others call
            function(loc, scale)
    return printer


def _text(printer: Printer) -> Any:
    """The text, with operations that `printer` records."""

    def number(name: str, value: float) -> Value:
        return atom("float", literal(value, "float")) if name in _DIGITS else printer.number(name, value)

    def call(name: str) -> Callable[..., Value]:
        def made(*operands: Any) -> Value:
            return Value(_CALLS[name], f"{PREFIX}{name}({', '.join(['{}'] * len(operands))})", *operands)

        return made

    def named(name: str, function: Any) -> Any:
        function.__name__, function.__doc__ = name, getattr(operations, name).__doc__
        return printer.element(function)

    def horner_of(x: Any, given: list[Value]) -> Any:
        total, *rest = given
        for coefficient in rest:
            total = calls["fma"](total, x, coefficient)
        return total

    def horner(name: str, short: str, given: tuple[float, ...]) -> Any:
        def polynomial(x: Any) -> Any:
            return horner_of(x, [printer.number(f"{short}_{k}", value) for k, value in enumerate(given)])

        return named(name, polynomial)

    def power_of_two(x: Any) -> Any:
        square = x * x
        even, odd = (
            horner_of(square, [printer.number(f"EXP2_{k}", value) for k, value in part])
            for part in coefficients.even_and_odd([*enumerate(SINGLE.exp2)])
        )
        return calls["fma"](odd, x, even)

    def bivariate(name: str) -> Any:
        horner = surrogate.polynomials(calls["fma"], lambda data, k: atom("float", f"{data}[{k}]"))[name]

        def polynomial(y: Any, u: Any) -> Any:
            return horner(MEAN, y, u)

        polynomial.__name__, polynomial.__doc__ = name, f"The polynomial {name} in y and u, by Horner's rule."
        known = printer.element(polynomial)
        return lambda data, y, u: known(y, u)

    calls = {name: call(name) for name in _CALLS}
    numbers = coefficients.numbers(float, SINGLE) | layout.numbers(float) | surrogate.numbers(float)
    given = {
        **{name: number(name, value) for name, value in numbers.items()},
        **calls,
        "element": printer.element,
        **dict.fromkeys(("divide", "divide_roughly"), lambda a, b: Value("float", "{} / {}", a, b)),
        "numerator": horner("numerator", "N", SINGLE.numerator),
        "denominator": horner("denominator", "Q", SINGLE.denominator),
        "power_of_two": named("power_of_two", power_of_two),
        "from_bits": lambda word, like: Value("float", f"{PREFIX}from_bits({{}})", word),
        "integer": lambda x: x if x.kind == "int32_t" else Value("int32_t", "(int32_t){}", x),
        "real": lambda word: Value("float", "(float){}", word),
        "without_sign": calls["absolute"],
        "square_root": printer.element(
            c_mean.square_root(calls["fma"], lambda x: text.inverse_root(x), atom("float", literal(0.5, "float")))
        ),
        **{name: bivariate(name) for name in c_mean.NAMES},
        "load": lambda array, key: Value(array.kind, f"{array.form}[{{}}]", key),
    }
    text = instantiate("c", given, "bits", *FILES)
    return text


def _named(printer: Printer, found: Table) -> Table:
    """A table's parts as the C names them."""
    ends = ("FIRST_LOC", "LAST_LOC", "FIRST_DELTA", "LAST_DELTA")
    bounds = ("LOC_MAX", "SCALE_MIN", "SCALE_MAX")
    return Table(
        atom("int32_t", f"{PREFIX}loc_index"),
        atom("int32_t", f"{PREFIX}delta_index"),
        atom("float", f"{PREFIX}values"),
        printer.number("TABLE_COLUMNS", found.columns),
        tuple(printer.number(name, float(value)) for name, value in zip(ends, found.ends, strict=True)),
        tuple(printer.number(name, float(value)) for name, value in zip(bounds, found.bounds, strict=False)),
    )


def _arrays(contents: Contents) -> list[tuple[str, str, NDArray[Any]]]:
    """(type, name, numbers) of the tables."""
    found: list[tuple[str, str, NDArray[Any]]] = []
    if contents.table is not None:
        table = contents.table
        found += [("int32_t", f"{PREFIX}{name}", getattr(table, name)) for name in ("loc_index", "delta_index")]
        found += [("float", f"{PREFIX}values", table.values)]
    return found if contents.mean is None else [*found, ("float", MEAN, contents.mean)]


def _declared(kind: str, name: str, numbers: NDArray[Any]) -> str:
    words = _lines(literal(number, kind) for number in numbers.tolist())
    return f"static const {kind} {name}[{len(numbers)}] TANHLUT_FLASH = {{\n{words}\n}};\n"


def _expectations(printer: Printer, contents: Contents) -> dict[str, Any]:
    """What the self-test asks for, and what NumPy makes of it by the text."""
    loc, scale = np.array(c_points.points(contents.quantities), np.float32).T
    low, high = np.float32(c_points.LOW), np.float32(c_points.HIGH)
    functions = contents.functions(plain.SINGLE, contents.table, contents.mean)
    ordered = sorted(functions, key=("start", "mode", "mode_bounded", "mean", "mean_bounded").index)
    given = {name: (low, high) if name.endswith("_bounded") else () for name in ordered}
    with np.errstate(all="ignore"):
        answers = [functions[name](loc, scale, *given[name]) for name in ordered]
    words = np.stack([np.ascontiguousarray(part, np.float32).view(np.uint32) for part in (loc, scale, *answers)], 1)
    bounds = "".join(f", {literal(bound, 'float')}" for bound in (c_points.LOW, c_points.HIGH))
    checks = [c_parts.CHECK % (name, bounds if given[name] else "", k) for k, name in enumerate(ordered, 2)]
    if "start" in ordered:
        checks[0] = c_parts.WITH_FMA % checks[0]
    floats = {name: value for name, value in printer.numbers.items() if isinstance(value, float)}
    whole = {name: value for name, value in printer.numbers.items() if isinstance(value, int)}
    arrays = [("numbers", np.array([*floats.values()], np.float32)), ("counts", np.array([*whole.values()], np.int32))]
    arrays += [(name, array) for _, name, array in _arrays(contents)]
    return {
        "asked": ", ".join(name.replace("_bounded", "") for name in ordered),
        "count": len(words),
        "width": words.shape[1],
        "factor": c_parts.FACTOR,
        "rows": "\n".join("{" + ",".join(f"0x{word:08X}" for word in row) + "}," for row in words.tolist()),
        "checks": "".join(checks),
        "numbers": _lines(floats, 8),
        "counts": c_parts.COUNTS % _lines(whole, 8),
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


def _about(table: ModeTable, contents: Contents, command: str) -> str:
    """The comment at the top."""
    method, names = contents.method, contents.quantities
    bits = {"mode": f'tanhlut.mode(..., method="{method}", backend="cpu")', "mean": 'tanhlut.mean(..., backend="cpu")'}
    rows, columns = table.values.shape
    inside = "none inside; that of the file was" if contents.table is None else "inside:"
    digest = f"{inside} {rows} x {columns} nodes, sha256 {table.digest}"
    if contents.mean is not None and table.moments is not None:
        digest += f"; moments, {len(contents.mean)} numbers inside, sha256 {table.moments.digest}"
    lines = {
        "version": f"tanhlut {__version__}",
        "command": plain_ascii(command),
        "method": "" if method is None else f"{method}: {_summary(table, method)}",
        "proven": _proven(table, contents),
        "bits": f"those of {' and '.join(bits[name] for name in names)} in float32",
        "table": digest,
        "gives": "".join(c_parts.CALLS % {"name": name} for name in names)
        + c_parts.GIVES % "; ".join(c_parts.SIDES[name] for name in names),
        "macros": c_parts.MACROS,
    }
    told = (textwrap.fill(f"{name:9}{words}", 114, subsequent_indent=" " * 9) for name, words in lines.items() if words)
    text = "\n".join([c_parts.TITLE % " and ".join(names), "", *told, "", c_parts.LICENCE.strip()])
    return textwrap.indent(text, " * ", lambda _: True).replace(" * \n", " *\n").replace(" * ", "/* ", 1) + "\n */"


def _proven(table: ModeTable, contents: Contents) -> str:
    bounds = []
    if contents.method is not None:
        try:
            bounds.append(f"|answer - mode| <= {table.error_bound(contents.method):.3g}")
        except ValueError:
            return "nothing of this method on this table: see tablegen verify"
    if contents.mean is not None and table.moments is not None:
        bounds.append(f"|answer - mean| <= {table.moments.metadata['mean_bound']:.3g}")
    return c_parts.PROVEN % " and ".join(bounds)


def _summary(table: ModeTable, method: Method) -> str:
    """What the method does, in words."""
    bounded = method != "exact" and not table.bounds.whole_plane
    then = "" if method == "bilinear" else ", then a Halley step"
    outside = f"; covers {bounds_in_words(table.bounds)}, elsewhere exact" if bounded else ""
    return (
        ("a closed form and a rough step" if method == "exact" else "four corners of a table")
        + then
        + plain_ascii(outside)
    )


def _bracketed(number: float) -> str:
    digits = literal(number, "int32_t" if isinstance(number, int) else "float")
    return f"({digits})" if digits[0] in "-(" else digits


def _lines(words: Iterable[str], indent: int = 4) -> str:
    space = " " * indent
    return textwrap.fill(", ".join(words), 116, initial_indent=space, subsequent_indent=space, break_on_hyphens=False)
