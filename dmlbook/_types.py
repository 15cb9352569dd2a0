"""Shapes as types: jaxtyping's where it is installed (the tests enforce them), and nothing at all elsewhere."""

from torch import Tensor

try:
    from jaxtyping import Bool, Float, Int, UInt8
except ImportError:  # training needs no jaxtyping, and annotations are never evaluated there

    class _Unchecked:
        def __class_getitem__(cls, item):
            return item[0]

    Bool = Float = Int = UInt8 = _Unchecked

__all__ = ["Bool", "Float", "Int", "Tensor", "UInt8"]
