# experiment
import numba
from numba.extending import intrinsic
from numba import types
from numba.core import cgutils
from llvmlite import ir
@intrinsic
def prefetch(typingctx, arr, i, j):
    sig = types.void(arr, types.intp, types.intp)
    def codegen(context, builder, signature, args):
        aty = signature.args[0]
        ary = context.make_array(aty)(context, builder, args[0])
        ptr = cgutils.get_item_pointer(context, builder, aty, ary, [args[1], args[2]], wraparound=False)
        i8p = ir.IntType(8).as_pointer()
        fnty = ir.FunctionType(ir.VoidType(), [i8p, ir.IntType(32), ir.IntType(32), ir.IntType(32)])
        fn = cgutils.get_or_insert_function(builder.module, fnty, "llvm.prefetch.p0i8")
        c = ir.Constant
        builder.call(fn, [builder.bitcast(ptr, i8p), c(ir.IntType(32), 1), c(ir.IntType(32), 3), c(ir.IntType(32), 1)])
        return context.get_dummy_value()
    return sig, codegen
