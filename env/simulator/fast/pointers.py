"""Rows as compiled functions hold them: the address of the first number. Plain Python holds the row itself.

An array has seven parts, and every call of a function that is not inlined passes all of them. An address is one. And
the compiler learns what an array leaves open: rows of different kinds never overlap, nobody writes to parameters, and
no place is counted from the end. So it need not read a number again that it has read.
"""

from __future__ import annotations

import operator
from importlib import import_module
from typing import Any, Final

from mirr.env.simulator.fast.compiled import COMPILED

STATE: Final = "state"  # a lane's row: its ledger and its state
SHOWN: Final = "shown"  # what a window shows; or any other row that is written, and is no state
FIXED: Final = "fixed"  # parameters, and how episodes are played: nothing writes to them
_KINDS: Final = (STATE, SHOWN, FIXED)

if COMPILED:
    from mirr.env.simulator.fast.instructions import address_in

    _types: Any = import_module("numba").types
    _cgutils: Any = import_module("numba.core.cgutils")
    _models: Any = import_module("numba.core.datamodel.models")
    _extending: Any = import_module("numba.extending")
    _errors: Any = import_module("numba.core.errors")

    class _Row(_types.CPointer):  # type: ignore[misc]  # numba has no types for mypy
        """The type of a row of one kind, for the compiler."""

        def __init__(self, kind: str) -> None:
            super().__init__(_types.float64)
            self.kind = kind
            self.name = f"row({kind})"

        @property
        def key(self) -> Any:
            return self.kind

    _extending.register_model(_Row)(_models.PointerModel)

    def _told_apart(builder: Any, access: Any, kind: str) -> Any:
        """Tell the compiler that this access to memory touches rows of one kind, and none of the others."""
        module = builder.module
        domain = module.add_metadata(["rows"])
        scopes = {each: module.add_metadata([f"row {each}", domain]) for each in _KINDS}
        access.set_metadata("alias.scope", module.add_metadata([scopes[kind]]))
        access.set_metadata("noalias", module.add_metadata([scopes[each] for each in _KINDS if each != kind]))
        return access

    @_extending.lower_builtin(operator.getitem, _Row, _types.Integer)  # type: ignore[untyped-decorator]  # numba's
    def _read(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        row, place = arguments
        kind = signature.args[0].kind
        found = _told_apart(builder, builder.load(builder.gep(row, [place], inbounds=True)), kind)
        if kind == FIXED:
            found.set_metadata("invariant.load", builder.module.add_metadata([]))
        return found

    @_extending.lower_builtin(operator.setitem, _Row, _types.Integer, _types.Any)  # type: ignore[untyped-decorator]  # numba's
    def _write(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        row, place, value = arguments
        kind = signature.args[0].kind
        if kind == FIXED:
            raise _errors.TypingError("nobody writes to a row that is fixed")
        _told_apart(builder, builder.store(value, builder.gep(row, [place], inbounds=True)), kind)
        return context.get_dummy_value()

    def _first_of(context: Any, builder: Any, kind: Any, array: Any, places: Any) -> Any:
        """The address of the first number of an array, or of a row of it."""
        missing = [context.get_constant(_types.intp, 0)] * (kind.ndim - len(places))
        return address_in(context, builder, kind, array, [*places, *missing])

    def _must_fit(array: Any, kind: str, ndim: int) -> None:
        """Refuse, when the code is compiled, an array whose numbers do not lie as a row's do."""
        floats = isinstance(array, _types.Array) and array.dtype == _types.float64 and array.ndim == ndim
        if not (floats and array.layout == "C" and array.aligned):
            raise _errors.TypingError(
                f"a row of {kind} is made of float64 in one block of {ndim} dimensions; got {array}"
            )
        if kind != FIXED and not array.mutable:
            raise _errors.TypingError(f"a row of {kind} is written; got {array}")

    def _row_of(kind: str) -> Any:
        def typed(_: Any, table: Any, row: Any) -> Any:
            _must_fit(table, kind, 2)

            def build(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
                return _first_of(context, builder, signature.args[0], arguments[0], arguments[1:])

            return _Row(kind)(table, _types.intp), build

        return _extending.intrinsic(typed)

    def _alone(kind: str) -> Any:
        def typed(_: Any, numbers: Any) -> Any:
            _must_fit(numbers, kind, 1)

            def build(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
                return _first_of(context, builder, signature.args[0], arguments[0], [])

            return _Row(kind)(numbers), build

        return _extending.intrinsic(typed)

    state_of, shown_of, fixed_of = (_row_of(kind) for kind in _KINDS)
    state, shown, fixed = (_alone(kind) for kind in _KINDS)

    def fetching(places: range) -> Any:
        """A function of a table and the number of a row: it fetches the lines of the cache that hold these places.

        They will soon be read and written."""

        def typed(_: Any, table: Any, row: Any) -> Any:
            def build(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
                first = _first_of(context, builder, signature.args[0], arguments[0], arguments[1:])
                ir = _cgutils.ir
                address, whole = ir.IntType(8).as_pointer(), ir.IntType(32)
                taken = ir.FunctionType(ir.VoidType(), [address, whole, whole, whole])
                prefetch = builder.module.declare_intrinsic("llvm.prefetch", (address,), taken)
                to_write, keep, data = ir.Constant(whole, 1), ir.Constant(whole, 3), ir.Constant(whole, 1)
                for place in places:
                    line = builder.gep(first, [context.get_constant(_types.intp, place)])
                    builder.call(prefetch, [builder.bitcast(line, address), to_write, keep, data])
                return context.get_dummy_value()

            return _types.void(table, _types.intp), build

        return _extending.intrinsic(typed)

else:

    def state_of(table: Any, row: Any) -> Any:
        """A row of a table of states."""
        return table[row]

    def state(numbers: Any) -> Any:
        """A state that is alone."""
        return numbers

    shown_of = fixed_of = state_of
    shown = fixed = state

    def fetching(places: range) -> Any:
        """A function of a table and the number of a row. Plain Python has nothing to fetch."""
        return lambda table, row: None
