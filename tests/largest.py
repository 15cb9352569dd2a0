"""How large a tensor becomes while something is computed: growth with the square of a set is seen in a small one."""

from __future__ import annotations

import torch
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode


class _Watch:
    size = 0
    """Numbers in the largest tensor so far."""

    def see(self, found: object) -> object:
        for each in found if isinstance(found, (tuple, list)) else [found]:
            self.size = max(self.size, each.numel() if isinstance(each, torch.Tensor) else 0)
        return found


class LargestGiven(_Watch, TorchFunctionMode):
    """The largest that a call of torch hands to the code within."""

    def __torch_function__(self, function, types, args=(), kwargs=None):
        return self.see(function(*args, **(kwargs or {})))


class LargestMade(_Watch, TorchDispatchMode):
    """The largest that torch makes, also inside its own functions and on the way back."""

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        return self.see(function(*args, **(kwargs or {})))
