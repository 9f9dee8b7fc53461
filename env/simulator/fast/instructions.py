"""Instructions of the processor that Python lacks: atomic operations between threads.

Plain Python plays with one thread and does not need them.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

from mirr.env.simulator.fast.compiled import COMPILED

if COMPILED:
    _types: Any = import_module("numba").types
    _cgutils: Any = import_module("numba.core.cgutils")
    _intrinsic: Any = import_module("numba.extending").intrinsic

    def address_in(context: Any, builder: Any, kind: Any, array: Any, places: Any) -> Any:
        """The address of a number in an array of that type, for the compiler."""
        held = context.make_array(kind)(context, builder, array)
        return _cgutils.get_item_pointer(context, builder, kind, held, places, wraparound=False)

    def _exchange(operation: str) -> Any:
        def typed(_: Any, numbers: Any, place: Any, value: Any) -> Any:
            def build(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
                address = address_in(context, builder, signature.args[0], arguments[0], arguments[1:2])
                return builder.atomic_rmw(operation, address, arguments[2], "seq_cst")

            return _types.int64(numbers, _types.intp, _types.int64), build

        return typed

    add_at_once = _intrinsic(_exchange("add"))
    put_at_once = _intrinsic(_exchange("xchg"))

else:

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
