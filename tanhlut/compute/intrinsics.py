"""LLVM instructions that Python cannot spell, for the numba kernels: fma, branch-free select, bit casts, raw memory.

None needs a fast-math flag, so every operation rounds as IEEE 754 says, alone or in a vector, and a result cannot
depend on an element's neighbours.

Loads and stores go through addresses. Loads from a table carry metadata that says they never alias a store: without
it LLVM cannot vectorise a gather beside a store (measured: 28 instead of 0.5 ns for four corners).
"""

from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

_WORD = {types.float32: types.int32, types.float64: types.int64}


@intrinsic
def fma(_context: Any, a: Any, b: Any, c: Any) -> Any:
    """a·b + c, rounded once; b and c are taken in a's type."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.fma(*args)

    return a(a, a, a), generate


@intrinsic
def select(_context: Any, condition: Any, yes: Any, no: Any) -> Any:
    """`yes if condition else no` without a branch; `yes` is taken in the type of `no`."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.select(*args)

    return no(types.boolean, no, no), generate


@intrinsic
def floor(_context: Any, x: Any) -> Any:
    """The largest integral number ≤ x, in x's type."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        function = builder.module.declare_intrinsic("llvm.floor", [args[0].type])
        return builder.call(function, args)

    return x(x), generate


@intrinsic
def square_root(_context: Any, x: Any) -> Any:
    """√x, rounded to nearest; NaN below 0, without the branch of Python's."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        function = builder.module.declare_intrinsic("llvm.sqrt", [args[0].type])
        return builder.call(function, args)

    return x(x), generate


@intrinsic
def bits(_context: Any, x: Any) -> Any:
    """The bits of a float as a signed integer of its size."""
    word = _WORD[x]

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.bitcast(args[0], context.get_value_type(word))

    return word(x), generate


@intrinsic
def from_bits(_context: Any, word: Any, like: Any) -> Any:
    """The float of `like`'s type whose bits are the low bits of an integer (numba widens integers to 64 bits)."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        narrow = context.get_value_type(_WORD[like])
        value = args[0] if args[0].type == narrow else builder.trunc(args[0], narrow)
        return builder.bitcast(value, context.get_value_type(like))

    return like(types.int64, like), generate


@intrinsic(prefer_literal=True)
def scratch(_context: Any, count: Any, dtype: Any) -> Any:
    """Room on the stack for `count` (a literal) numbers of `dtype`: a pointer to index, which nothing else aliases."""
    kind, size = dtype.dtype, count.literal_value

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        room = cgutils.alloca_once(builder, context.get_value_type(kind), size)
        room.align = 64
        return room

    return types.CPointer(kind)(count, dtype), generate


@intrinsic
def address(_context: Any, pointer: Any) -> Any:
    """The address of a pointer."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.ptrtoint(args[0], ir.IntType(64))

    return types.int64(pointer), generate


@intrinsic
def load_constant(_context: Any, address: Any, index: Any, dtype: Any) -> Any:
    """Element `index` of a read-only array of `dtype` at `address`."""
    kind = dtype.dtype

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        value = builder.load(pointer(builder, context.get_value_type(kind), args))
        value.set_metadata("noalias", output_scope(builder.module))
        return value

    return kind(address, index, dtype), generate


@intrinsic
def load_pair(_context: Any, address: Any, index: Any) -> Any:
    """Elements `index` and `index + 1` of a read-only float32 array as one integer: one gather where two would be."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        first = pointer(builder, ir.FloatType(), args)
        value = builder.load(builder.bitcast(first, ir.IntType(64).as_pointer()))
        value.align = 4
        value.set_metadata("noalias", output_scope(builder.module))
        return value

    return types.int64(address, index), generate


@intrinsic
def first_of(_context: Any, pair: Any) -> Any:
    """The first float32 of a pair."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.bitcast(builder.trunc(args[0], ir.IntType(32)), ir.FloatType())

    return types.float32(pair), generate


@intrinsic
def second_of(_context: Any, pair: Any) -> Any:
    """The second float32 of a pair."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        high = builder.lshr(args[0], ir.Constant(ir.IntType(64), 32))
        return builder.bitcast(builder.trunc(high, ir.IntType(32)), ir.FloatType())

    return types.float32(pair), generate


@intrinsic
def store(_context: Any, address: Any, index: Any, value: Any) -> Any:
    """Write element `index` of the output array at `address`."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        written = builder.store(args[2], pointer(builder, args[2].type, args))
        written.set_metadata("alias.scope", output_scope(builder.module))
        return context.get_dummy_value()

    return types.void(address, index, value), generate


@intrinsic
def call(
    _context: Any, function: Any, a: Any, b: Any, c: Any, begin: Any, end: Any, low: Any, high: Any, d: Any
) -> Any:
    """Call the machine's code of a kernel of `cpu` at an address."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        kind = ir.FunctionType(ir.VoidType(), [part.type for part in args[1:]])
        builder.call(builder.inttoptr(args[0], kind.as_pointer()), args[1:])
        return context.get_dummy_value()

    whole, real = types.int64, types.float64
    return types.void(whole, whole, whole, whole, whole, whole, real, real, whole), generate


def pointer(builder: Any, element: Any, args: Any) -> Any:
    return builder.gep(builder.inttoptr(args[0], element.as_pointer()), [args[1]])


def output_scope(module: Any) -> Any:
    """The alias scope that stores belong to and table loads do not."""
    domain = module.add_metadata([ir.MetaDataString(module, "tanhlut")])
    return module.add_metadata([module.add_metadata([ir.MetaDataString(module, "output"), domain])])
