"""Shapes as types: jaxtyping's where it is installed (the tests enforce them), and nothing at all elsewhere."""

from torch import Tensor

try:
    from jaxtyping import Bool, Float, UInt8
    from jaxtyping import Integer as Int  # of any width, signed or not
except ImportError:  # training needs no jaxtyping, and annotations are never evaluated there

    class _Unchecked:
        def __class_getitem__(cls, item):
            return item[0]

    Bool = Float = Int = UInt8 = _Unchecked

__all__ = ["Bool", "Float", "Int", "Tensor", "UInt8"]
