"""Checks at the door: ``@checked`` reads shapes from the annotations, and every message names the function that spoke.

>>> @checked(gamma=above(0))
... def class_similarity(similarities: Float[Tensor, "B C K"], *, gamma: float = 0.1): ...
>>> class_similarity(torch.zeros(2, 3), gamma=1.0)
Traceback (most recent call last):
ValueError: class_similarity: similarities must be a tensor of shape (B, C, K); got shape (2, 3). Reshape or index it.

What depends on other arguments is checked in the body, by the functions of ``values`` or by ``raise bad_input(...)``.
"""

from dmlbook._checks.door import above, at_least, between, checked, finite, inside, one_of
from dmlbook._checks.messages import bad_input, speaker
from dmlbook._checks.outside import check_memory
from dmlbook._checks.values import (
    check_batch,
    check_below,
    check_choice,
    check_filled,
    check_finite,
    check_labels,
    check_lengths,
    check_number,
    check_shape,
    check_unique,
    under_vmap,
)

__all__ = [
    "above",
    "at_least",
    "bad_input",
    "between",
    "check_batch",
    "check_below",
    "check_choice",
    "check_filled",
    "check_finite",
    "check_labels",
    "check_lengths",
    "check_memory",
    "check_number",
    "check_shape",
    "check_unique",
    "checked",
    "finite",
    "inside",
    "one_of",
    "speaker",
    "under_vmap",
]
