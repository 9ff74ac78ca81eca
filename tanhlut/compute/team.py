"""A kernel on several threads at once, in LLVM: each takes the next chunk of elements until none are left.

So one that wakes late, or whose processor others use, takes fewer. The call ends when all have ended, and hears no
signal before.
"""

from typing import Any

from llvmlite import ir

from tanhlut.compute import threads
from tanhlut.compute.vectors import INT32, INT64, constant

CHUNK = 1 << 12  # elements at least, 10 to 40 µs; of many more a sixteenth of a thread's share
_PARTS = 16


def call(builder: Any, kernel: Any, given: list[Any], begin: int, team: Any) -> None:
    """Write a call of the kernel with what it is given, of which the elements from `begin` on, a place in it, up to
    the next one's are shared among `team` threads."""
    count = builder.sub(given[begin + 1], given[begin])
    size = builder.sdiv(count, builder.mul(team, constant(_PARTS, INT64)))
    size = builder.and_(size, constant(-CHUNK, INT64))
    size = builder.select(builder.icmp_signed("<", size, constant(CHUNK, INT64)), constant(CHUNK, INT64), size)
    record = [given[begin], size, *given]  # the first: where the next chunk begins
    kind = ir.LiteralStructType([part.type for part in record])
    room = builder.alloca(kind)
    for k, part in enumerate(record):
        builder.store(part, _field(builder, room, k))
    work = _work(kernel, kind, begin)
    parallel = ir.FunctionType(ir.VoidType(), [work.type, room.type, INT32, INT32])
    function = builder.inttoptr(constant(threads.parallel(), INT64), parallel.as_pointer())
    builder.call(function, [work, room, builder.trunc(team, INT32), constant(0, INT32)])


def _work(kernel: Any, kind: Any, begin: int) -> Any:
    """What each thread does, given the record's address."""
    function = ir.Function(kernel.module, ir.FunctionType(ir.VoidType(), [kind.as_pointer()]), "work")
    builder: Any = ir.IRBuilder(function.append_basic_block("entry"))
    (record,) = function.args
    size, *given = (builder.load(_field(builder, record, k)) for k in range(1, len(kind.elements)))
    head, chunk, done = (function.append_basic_block(name) for name in ("head", "chunk", "done"))
    builder.branch(head)
    builder.position_at_end(head)
    end = given[begin + 1]
    first = builder.atomic_rmw("add", _field(builder, record, 0), size, "monotonic")
    builder.cbranch(builder.icmp_signed("<", first, end), chunk, done)
    builder.position_at_end(chunk)
    last = builder.add(first, size)
    given[begin : begin + 2] = first, builder.select(builder.icmp_signed("<", last, end), last, end)
    builder.call(kernel, given)
    builder.branch(head)
    builder.position_at_end(done)
    builder.ret_void()
    return function


def _field(builder: Any, record: Any, k: int) -> Any:
    return builder.gep(record, [constant(0, INT32), constant(k, INT32)], inbounds=True)
