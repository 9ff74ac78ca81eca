"""C from the text: `formula.instantiate` runs it with operations that record what they are asked, and that is printed.

A function of the text that has one result becomes a C function; one with several is written out where it is called.
What the text names keeps its name. A product that goes into a sum stands in a statement of its own: C lets a compiler
fuse the two (contraction) only inside one expression, unless it was told otherwise.

The printer knows no formula. What an operation is in C (`tanhlut_fma`, `tanhlut_select`, …) `c_header` says.
"""

import inspect
import itertools
import re
import sys
import textwrap
from collections.abc import Callable, Iterable, Mapping, Sequence
from types import FrameType
from typing import Any

import numpy as np
import torch

PREFIX, INLINE = "tanhlut_", "static inline"
WIDTH = 90  # of a line, about: longer expressions are cut into statements
_PRODUCT, _SUMS = "{} * {}", ("{} + {}", "{} - {}")
_WRAPPED = "(int32_t)((uint32_t){} %s (uint32_t){})"  # in C a signed overflow is undefined, an unsigned one wraps
_ASCII = {
    "δ": "delta", "≥": ">=", "≤": "<=", "·": "*", "×": "x", "−": "-", "–": "-", "…": "...", "√": "sqrt ", "∛": "cbrt ",
    "²": "^2", "³": "^3", "⁴": "^4", "½": "1/2", "∈": "in", "±": "+-", "→": "->", "≈": "~", "`": "",
}  # fmt: skip

_serial = itertools.count()


class Value:
    """What an operation gives when the C runs: a float, an int32_t, or a condition (int, 0 or 1).

    Attributes:
        form: its expression, with a pair of braces for each operand; an atom's has none.
        name: what the text calls it, or nothing.
    """

    dtype = torch.float32  # which `formula.excess` asks for

    def __init__(self, kind: str, form: str, *operands: Any) -> None:
        self.operands = tuple(lift(operand, kind) for operand in operands)
        self.kind, self.form, self.serial, self.name = kind, form, next(_serial), ""

    def __bool__(self) -> bool:
        raise TypeError("the text branches on data: write select")

    def _with(self, sign: str, other: Any, turned: bool = False) -> "Value":
        other = lift(other, self.kind)
        form = f"{{}} {sign} {{}}" if self.kind == "float" else _WRAPPED % sign
        return Value(self.kind, form, *((other, self) if turned else (self, other)))

    def _compared(self, sign: str, other: Any) -> "Value":
        return Value("int", f"{{}} {sign} {{}}", self, lift(other, self.kind))

    def __add__(self, other: Any) -> "Value":
        return self._with("+", other)

    def __radd__(self, other: Any) -> "Value":
        return self._with("+", other, turned=True)

    def __sub__(self, other: Any) -> "Value":
        return self._with("-", other)

    def __rsub__(self, other: Any) -> "Value":
        return self._with("-", other, turned=True)

    def __mul__(self, other: Any) -> "Value":
        return self._with("*", other)

    def __rmul__(self, other: Any) -> "Value":
        return self._with("*", other, turned=True)

    def __neg__(self) -> "Value":
        return Value(self.kind, "-{}", self)

    def __lt__(self, other: Any) -> "Value":
        return self._compared("<", other)

    def __le__(self, other: Any) -> "Value":
        return self._compared("<=", other)

    def __gt__(self, other: Any) -> "Value":
        return self._compared(">", other)

    def __ge__(self, other: Any) -> "Value":
        return self._compared(">=", other)

    def __eq__(self, other: Any) -> "Value":  # type: ignore[override]
        return self._compared("==", other)

    def __ne__(self, other: Any) -> "Value":  # type: ignore[override]
        return self._compared("!=", other)

    __hash__ = object.__hash__

    def __and__(self, other: Any) -> "Value":
        return Value(self.kind, "{} & {}", self, other)

    def __or__(self, other: Any) -> "Value":
        return Value(self.kind, "{} | {}", self, other)

    def __invert__(self) -> "Value":
        return Value(self.kind, "!{}" if self.kind == "int" else "~{}", self)

    def __rshift__(self, places: Any) -> "Value":
        return Value(self.kind, "{} >> {}", self, places)

    def __lshift__(self, places: Any) -> "Value":
        return Value(self.kind, "(int32_t)((uint32_t){} << {})", self, places)


def atom(kind: str, word: str) -> Value:
    """A parameter, a number or an array's name: nothing to compute."""
    return Value(kind, word)


def lift(number: Any, kind: str) -> Value:
    """A Python number as a value of a kind; a value as it is."""
    return number if isinstance(number, Value) else atom(kind, literal(number, kind))


def literal(number: float, kind: str) -> str:
    """A number in C: the fewest digits that give the float32 back; integers from 4096 on in hexadecimal."""
    if kind != "float":
        return _whole(int(number))
    single = np.float32(number)
    if not np.isfinite(single):
        return f"{PREFIX}from_bits(0x{int(single.view(np.uint32)):08X})"
    digits = np.format_float_scientific(single, trim="0") if not 1e-4 <= abs(single) < 1e7 and single else None
    return f"{digits or np.format_float_positional(single, trim='0')}f"


def _whole(number: int) -> str:
    if number < 0:
        return f"(int32_t)0x{number & 0xFFFFFFFF:08X}u"
    return f"0x{number:X}" if number >= 4096 else str(number)


def plain_ascii(text: str) -> str:
    """A docstring for a C comment, in ASCII: not every compiler reads more."""
    for character, word in _ASCII.items():
        text = text.replace(character, word)
    text = text.replace("/*", "/ *").replace("*/", "* /").replace("??", "? ?")  # which C reads inside a comment, too
    return text.encode("ascii", "backslashreplace").decode()


class Printer:
    """Records functions of the text as they are called and prints each once, after those that it calls.

    Attributes:
        functions: the printed C functions, by their name in the text, in order.
        numbers: the macros that they use, by name.
        recorded: the functions before they are printed.
    """

    def __init__(
        self, public: Iterable[str] = (), instead: Mapping[str, tuple[str, Callable[..., Any]]] | None = None
    ) -> None:
        """`public`: functions to link to; `instead`: for a function, a macro under which another takes its place."""
        self.functions: dict[str, str] = {}
        self.numbers: dict[str, float] = {}
        self.recorded: dict[str, Recorded] = {}
        self._public, self._instead = {*public}, instead or {}
        self._named: dict[str, float] = {}

    def number(self, name: str, number: float) -> Value:
        """A number that is printed by its name; whole if it is an int."""
        word = f"{PREFIX}{name}".upper()
        self._named[word] = number
        return atom("int32_t" if isinstance(number, int) else "float", word)

    def element(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """The decorator of the text."""
        name, parameters = function.__name__, [*inspect.signature(function).parameters]

        def call(*arguments: Any) -> Any:
            if name not in self.recorded:
                if not all(isinstance(argument, Value) for argument in arguments):
                    return _run(function, arguments)
                own = [atom(value.kind, word) for word, value in zip(parameters, arguments, strict=True)]
                result = _run(function, own)
                if not isinstance(result, Value):
                    return _run(function, arguments)
                self._keep(Recorded(name, function.__doc__ or "", own, result), function)
            known = self.recorded[name]
            return Value(known.result.kind, f"{PREFIX}{name}({', '.join(['{}'] * len(arguments))})", *arguments)

        return call

    def _keep(self, recorded: "Recorded", function: Callable[..., Any]) -> None:
        self.recorded[recorded.name] = recorded
        for value in recorded.values():
            if value.form in self._named:
                self.numbers[value.form] = self._named[value.form]
        text = recorded.printed("TANHLUT_API" if recorded.name in self._public else INLINE)
        if recorded.name in self._instead:
            macro, other = self._instead[recorded.name]
            result = _run(other, recorded.parameters)
            instead = Recorded(recorded.name, other.__doc__ or "", recorded.parameters, result).printed()
            text = f"#if defined({macro})\n{instead}#else\n{text}#endif\n"
        self.functions[recorded.name] = text


class Recorded:
    """A function of the text as values: its parameters and its one result."""

    def __init__(self, name: str, doc: str, parameters: Sequence[Value], result: Value) -> None:
        self.name, self.doc, self.parameters, self.result = name, doc, parameters, result

    def values(self) -> list[Value]:
        """All that the result is made of, operands first."""
        found: dict[int, Value] = {}
        waiting = [self.result]
        while waiting:
            value = waiting.pop()
            if value.serial not in found:
                found[value.serial] = value
                waiting += value.operands
        return [found[serial] for serial in sorted(found)]

    def printed(self, storage: str = INLINE) -> str:
        """The C function, its docstring a comment above."""
        values = self.values()
        users: dict[int, list[Value]] = {}
        for value in values:
            for operand in value.operands:
                users.setdefault(operand.serial, []).append(value)
        body = _Body(parameter.form for parameter in self.parameters)
        for value in values:
            body.add(value, users.get(value.serial, []))
        taken = ", ".join(f"{parameter.kind} {parameter.form}" for parameter in self.parameters)
        head = f"{storage} {self.result.kind} {PREFIX}{self.name}({taken})"
        lines = [f"    {line}" for line in body.lines] + [f"    return {body.texts[self.result.serial]};"]
        return "\n".join([comment(self.doc), head, "{", *lines, "}", ""])


class _Body:
    """The statements of a C function, and for each value the expression that it is by now."""

    def __init__(self, taken: Iterable[str]) -> None:
        self.lines: list[str] = []
        self.texts: dict[int, str] = {}
        self._taken = set(taken)

    def add(self, value: Value, users: list[Value]) -> None:
        while len(text := self._text(value)) > WIDTH and self._shorten(value):
            pass
        self.texts[value.serial] = text
        into_sum = value.form == _PRODUCT and any(user.form in _SUMS for user in users)
        if value.operands and users and (value.name or len(users) > 1 or into_sum):
            self._state(value)

    def _text(self, value: Value) -> str:
        bare = _is_call(value.form)  # its arguments need no brackets
        return value.form.format(*(self._operand(operand, bare) for operand in value.operands))

    def _operand(self, value: Value, bare: bool) -> str:
        text = self.texts[value.serial]
        whole = text[0] not in "-(" if not value.operands else text.isidentifier() or _is_call(value.form)
        return text if bare or whole else f"({text})"

    def _shorten(self, value: Value) -> bool:
        """Make the longest operand a statement; False where all are names."""
        longest = max(value.operands, key=lambda operand: len(self.texts[operand.serial]), default=None)
        if longest is None or not longest.operands or self.texts[longest.serial].isidentifier():
            return False
        self._state(longest)
        return True

    def _state(self, value: Value) -> None:
        wish = value.name or "part"
        free = (word for k in itertools.count(1) if (word := wish if k == 1 else f"{wish}_{k}") not in self._taken)
        name = next(free)
        self._taken.add(name)
        self.lines.append(f"{value.kind} {name} = {self.texts[value.serial]};")
        self.texts[value.serial] = name


def comment(doc: str) -> str:
    """A docstring's first paragraph as a C comment of lines that fit."""
    text = " ".join(plain_ascii(inspect.cleandoc(doc).split("\n\n")[0]).split())
    return textwrap.fill(f"/* {text} */", 118, subsequent_indent="   ")


def _is_call(form: str) -> bool:
    """Whether an expression is a call or an array's element; nothing else of ours begins with a word."""
    return re.fullmatch(r"\w+[(\[].*[)\]]", form) is not None


def _run(function: Callable[..., Any], arguments: Sequence[Any]) -> Any:
    """The result of a function of the text; what its locals hold takes their names, if it has none."""
    held: dict[str, Any] = {}

    def watch(frame: FrameType, event: str, _: Any) -> None:
        if event == "return" and frame.f_code is function.__code__:
            held.update(frame.f_locals)

    before = sys.getprofile()
    sys.setprofile(watch)
    try:
        result = function(*arguments)
    finally:
        sys.setprofile(before if callable(before) else None)  # cProfile's cannot be set again
    for name, value in held.items():
        if isinstance(value, Value) and value.operands and not value.name:
            value.name = name
    return result
