"""Classes as users have them: numbers and names."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

import torch
from torch import Tensor

from ganzoo.errors import Incompatible, brief, nearest

ClassLabel: TypeAlias = int | str
"""A class by its number, in 0 … classes - 1, or by its name."""
Classes: TypeAlias = ClassLabel | Sequence[ClassLabel] | Tensor
"""One class for all images, or one for each."""
INTEGERS = (torch.uint8, torch.int8, torch.int16, torch.int32, torch.int64)


def class_number(label: ClassLabel, names: Sequence[str]) -> int:
    """Return the number of a class.

    Args:
        label: Its number or its name. Text is always a name: of the classes 1, 2 and 3, `"2"` has the number 1.
        names: Names of all classes.

    Raises:
        Incompatible: There is no such class.
    """
    if isinstance(label, str):
        if label not in names:
            known = ", ".join(names) or "none"
            raise Incompatible(f"no class is called '{label}'{nearest(label, names)} Classes: {known}")
        return list(names).index(label)
    return int(class_numbers(label, 1, names))


def class_numbers(y: Classes, n: int, names: Sequence[str]) -> Tensor:
    """Return the numbers `[n]` of the classes of n images.

    Args:
        y: A class, or n of them.
        n: Number of images.
        names: Names of all classes.

    Raises:
        Incompatible: There is no such class, or there are not n of them.
    """
    if isinstance(y, str):
        y = class_number(y, names)
    elif isinstance(y, Sequence):
        y = [class_number(label, names) if isinstance(label, str) else label for label in y]
    try:
        numbers = torch.as_tensor(y)
    except (TypeError, ValueError, RuntimeError):  # neither numbers nor names
        numbers = torch.ones(1)
    if numbers.numel() and numbers.dtype not in INTEGERS:
        raise Incompatible(f"classes are whole numbers or names, not {brief(y)}")
    if numbers.shape not in ((), (1,), (n,)):
        raise Incompatible(f"y={brief(y)} does not say the classes of {n} images; give one for all or one for each")
    if n and not (int(numbers.min()) >= 0 and int(numbers.max()) < len(names)):
        raise Incompatible(f"classes are 0 to {len(names) - 1}, not {y}")
    return numbers.expand(n)
