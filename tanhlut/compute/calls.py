"""How Python calls a kernel: as functions of Python's own C interface, written in LLVM beside the kernel.

ctypes would take 400 ns more a call than these 50. Pointers are 64-bit words here, as the kernels have them.

Each function takes its arguments by position, believes their number, and lets an argument of a wrong type raise what
Python's conversion raises.
"""

import ctypes
from typing import Any

import numpy as np
from llvmlite import ir

from tanhlut.compute import team, threads
from tanhlut.compute.memory import BYTES, Array
from tanhlut.compute.vectors import FLOAT64, INT32, INT64, constant

_FASTCALL = 0x0080  # METH_FASTCALL: (self, array of arguments, their number)
_MANY = 1 << 10  # elements from which on the interpreter's lock is released
# A NumPy array in memory, which every extension module relies on: bytes behind what all objects have.
_OBJECT = object.__basicsize__
_DATA, _DIMENSIONS, _STRIDES, _FLAGS = (_OBJECT + offset for offset in (0, 16, 24, 48))
_CONTIGUOUS_AND_ALIGNED = 0x0001 | 0x0100


class _Method(ctypes.Structure):
    """PyMethodDef."""

    _fields_ = [
        ("name", ctypes.c_char_p),
        ("function", ctypes.c_void_p),
        ("flags", ctypes.c_int),
        ("doc", ctypes.c_char_p),
    ]


_kept: list[Any] = []
_new = ctypes.pythonapi.PyCFunction_NewEx
_new.restype, _new.argtypes = ctypes.py_object, [ctypes.c_void_p, ctypes.c_void_p, ctypes.c_void_p]


def builtin(name: str, address: int) -> Any:
    """What Python calls: a function at an address that one of those below has written."""
    method = _Method(name.encode(), address, _FASTCALL, None)
    _kept.append(method)
    return _new(ctypes.addressof(method), None, None)


class Caller:
    """A function for Python under construction, in a kernel's module."""

    def __init__(self, module: ir.Module, name: str) -> None:
        self.function = ir.Function(module, ir.FunctionType(INT64, [INT64] * 3), name)
        self.builder: Any = ir.IRBuilder(self.function.append_basic_block())
        self._given = Array(self.builder, self.function.args[1], INT64, 1)

    def argument(self, k: int) -> Any:
        """The k-th argument."""
        return self._given.one(constant(k, INT64)).value

    def whole(self, k: int) -> Any:
        """The k-th argument, an integer."""
        return self.api("PyLong_AsLongLong", INT64, self.argument(k))

    def real(self, k: int) -> Any:
        """The k-th argument, a float."""
        return self.api("PyFloat_AsDouble", FLOAT64, self.argument(k))

    def api(self, name: str, result: Any, *given: Any) -> Any:
        """Call a function of Python's."""
        where = ctypes.cast(getattr(ctypes.pythonapi, name), ctypes.c_void_p).value
        kind = ir.FunctionType(result, [part.type for part in given])
        return self.builder.call(self.builder.inttoptr(constant(where or 0, INT64), kind.as_pointer()), given)

    def give_up_if_an_argument_was_wrong(self) -> None:
        """The exception that a conversion has set is raised."""
        wrong = self.api("PyErr_Occurred", INT64)
        with self.builder.if_then(self.builder.icmp_signed("!=", wrong, constant(0, INT64)), likely=False):
            self.builder.ret(constant(0, INT64))

    def give(self, answer: object) -> None:
        """Return one of Python's constants."""
        found = constant(id(answer), INT64)
        self.api("Py_IncRef", ir.VoidType(), found)
        self.builder.ret(found)


def on_addresses(kernel: Any, integers: int, rest: str) -> str:
    """f(addresses …, begin, end, rest …, threads) → None: so many integers, of which the last two say how much there is
    to do, floats ("d") and integers ("q"), and how many threads share it. The lock is released if it is much."""
    caller = Caller(kernel.module, "on_addresses")
    builder = caller.builder
    given = [caller.whole(k) for k in range(integers)]
    given += [
        caller.real(integers + k) if letter == "d" else caller.whole(integers + k) for k, letter in enumerate(rest)
    ]
    many_threads = caller.whole(integers + len(rest))
    caller.give_up_if_an_argument_was_wrong()
    many = builder.icmp_signed(">=", builder.sub(given[integers - 1], given[integers - 2]), constant(_MANY, INT64))
    with builder.if_else(many) as (then, otherwise):
        with then:
            state = caller.api("PyEval_SaveThread", INT64)
            if threads.parallel():
                with builder.if_else(builder.icmp_signed(">", many_threads, constant(1, INT64))) as (several, one):
                    with several:
                        team.call(builder, kernel, given, integers - 2, many_threads)
                    with one:
                        builder.call(kernel, given)
            else:
                builder.call(kernel, given)
            caller.api("PyEval_RestoreThread", ir.VoidType(), state)
        with otherwise:
            builder.call(kernel, given)
    caller.give(None)
    return "on_addresses"


def on_floats(kernel: Any) -> str:
    """f(loc, scale, low, high, table) → float, by a kernel of float64."""
    caller = Caller(kernel.module, "on_floats")
    builder = caller.builder
    loc, scale, low, high = (caller.real(k) for k in range(4))
    table = caller.whole(4)
    caller.give_up_if_an_argument_was_wrong()
    places = [builder.alloca(FLOAT64) for _ in range(3)]
    for place, value in zip(places, (loc, scale), strict=False):
        builder.store(value, place)
    where = [builder.ptrtoint(place, INT64) for place in places]
    builder.call(kernel, [*where, constant(0, INT64), constant(1, INT64), low, high, table])
    builder.ret(caller.api("PyFloat_FromDouble", INT64, builder.load(places[2])))
    return "on_floats"


def on_arrays(kernel: Any, kind: Any, most: int) -> str:
    """f(loc, scale, out, low, high, table) → bool, of one-dimensional NumPy arrays of a kind: whether they were of one
    size below `most`, contiguous, aligned, and `out` apart from the others; if not, nothing was done."""
    caller = Caller(kernel.module, "on_arrays")
    builder, size = caller.builder, constant(BYTES[kind], INT64)
    low, high, table = caller.real(3), caller.real(4), caller.whole(5)
    caller.give_up_if_an_argument_was_wrong()
    arrays = [caller.argument(k) for k in range(3)]

    def field(array: Any, offset: int, of: Any = INT64) -> Any:
        return Array(builder, builder.add(array, constant(offset, INT64)), of, 1).one(constant(0, INT64)).value

    counts = [Array(builder, field(array, _DIMENSIONS), INT64, 1).one(constant(0, INT64)).value for array in arrays]
    flags = [field(array, _FLAGS, INT32) for array in arrays]
    loc, scale, out = (field(array, _DATA) for array in arrays)
    n = counts[2]
    wanted = constant(_CONTIGUOUS_AND_ALIGNED, INT32)
    bytes_ = builder.mul(n, size)
    serves = [builder.icmp_signed("<", n, constant(most, INT64))]
    serves += [builder.icmp_signed("==", count, n) for count in counts[:2]]
    serves += [builder.icmp_signed("==", builder.and_(flag, wanted), wanted) for flag in flags]
    for other in (loc, scale):
        before = builder.icmp_unsigned("<=", builder.add(out, bytes_), other)
        behind = builder.icmp_unsigned(">=", out, builder.add(other, bytes_))
        serves.append(builder.or_(before, behind))
    every = serves[0]
    for one in serves[1:]:
        every = builder.and_(every, one)
    with builder.if_then(every, likely=True):
        builder.call(kernel, [loc, scale, out, constant(0, INT64), n, low, high, table])
        caller.give(True)
    caller.give(False)
    return "on_arrays"


def arrays_lie_as_expected() -> bool:
    """Whether NumPy's arrays are in memory what `on_arrays` takes them for."""
    array = np.zeros(6, np.float32)[:5]

    def field(offset: int, kind: Any = ctypes.c_int64) -> int:
        return int(kind.from_address(id(array) + offset).value)

    return (
        field(_DATA) == array.ctypes.data
        and ctypes.c_int64.from_address(field(_DIMENSIONS)).value == 5
        and ctypes.c_int64.from_address(field(_STRIDES)).value == 4
        and field(_FLAGS, ctypes.c_int32) == array.flags.num
    )
