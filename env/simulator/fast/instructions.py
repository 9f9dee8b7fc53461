"""Instructions of the processor that Python lacks: prefetching, and atomic operations between threads.

Plain Python plays with one thread and needs neither.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

from mirr.env.simulator.fast.compiled import COMPILED

if COMPILED:
    _types: Any = import_module("numba").types
    _cgutils: Any = import_module("numba.core.cgutils")
    _ir: Any = _cgutils.ir
    _intrinsic: Any = import_module("numba.extending").intrinsic

    def _address(context: Any, builder: Any, kind: Any, array: Any, places: Any) -> Any:
        held = context.make_array(kind)(context, builder, array)
        return _cgutils.get_item_pointer(context, builder, kind, held, places, wraparound=False)

    def _prefetch(_: Any, rows: Any, row: Any, place: Any) -> Any:
        def build(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            address = _address(context, builder, signature.args[0], arguments[0], arguments[1:])
            pointer, whole = _ir.IntType(8).as_pointer(), _ir.IntType(32)
            taken = _ir.FunctionType(_ir.VoidType(), [pointer, whole, whole, whole])
            prefetch = builder.module.declare_intrinsic("llvm.prefetch", (pointer,), taken)
            to_write, keep, data = _ir.Constant(whole, 1), _ir.Constant(whole, 3), _ir.Constant(whole, 1)
            builder.call(prefetch, [builder.bitcast(address, pointer), to_write, keep, data])
            return context.get_dummy_value()

        return _types.void(rows, _types.intp, _types.intp), build

    def _exchange(operation: str) -> Any:
        def typed(_: Any, numbers: Any, place: Any, value: Any) -> Any:
            def build(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
                address = _address(context, builder, signature.args[0], arguments[0], arguments[1:2])
                return builder.atomic_rmw(operation, address, arguments[2], "seq_cst")

            return _types.int64(numbers, _types.intp, _types.int64), build

        return typed

    fetch_ahead = _intrinsic(_prefetch)
    add_at_once = _intrinsic(_exchange("add"))
    put_at_once = _intrinsic(_exchange("xchg"))

else:

    def fetch_ahead(rows: Any, row: Any, place: Any) -> None:
        """Fetch the line of the cache that holds `rows[row, place]`. It will soon be read and written."""

    def add_at_once(numbers: Any, place: Any, value: Any) -> Any:
        """Add to a whole number that other threads change too. Returns the number from before.

        A thread that sees the sum also sees everything that was written before it.
        """
        before = numbers[place]
        numbers[place] = before + value
        return before

    def put_at_once(numbers: Any, place: Any, value: Any) -> Any:
        """Replace a whole number in the same way. Returns the number from before."""
        before = numbers[place]
        numbers[place] = value
        return before
