"""Build the networks that a model folder describes without memory for their weights, before its files are trusted."""

from __future__ import annotations

import threading
import weakref
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn.modules.module import register_module_parameter_registration_hook
from torch.overrides import TorchFunctionMode

from ganzoo.base.torch_private import weight_norm_kernel
from ganzoo.errors import CorruptFile

MOST_PARAMETERS = 20_000
"""Largest number of tensors of a network that is built for a file from an untrusted source."""

FILLING = {Tensor.normal_, Tensor.uniform_, nn.functional.normalize, *filter(callable, vars(nn.init).values())}
"""Functions of torch that return their first argument with other values; on the meta device, nothing changes."""


def elementwise(func: Callable[..., Tensor], *args: Any) -> Tensor:
    """Return an empty tensor of the shape that an elementwise function returns."""
    tensors = [a for a in args if isinstance(a, Tensor)]
    if not tensors or any(t.dtype != torch.float32 for t in tensors):
        return func(*args)
    return tensors[0].new_empty(torch.broadcast_tensors(*tensors)[0].shape)  # type: ignore[no-untyped-call]


def recurrent(x: Tensor, state: Any, *more: Any) -> tuple[Tensor, ...]:
    """Return empty tensors of the shapes that an LSTM returns; call it if its input is packed."""
    if isinstance(state, Tensor):
        return cast(tuple[Tensor, ...], torch.lstm(x, state, *more))
    bidirectional = more[-2]
    return x.new_empty(*x.shape[:2], (1 + bidirectional) * state[0].shape[-1]), *state


SHAPES: dict[Any, Callable[..., Any]] = {
    torch.mv: lambda matrix, _: matrix[:, 0],
    torch.vdot: lambda vector, _: vector[0],
    torch.outer: lambda a, b: a[:, None].expand(-1, len(b)),
    torch.norm_except_dim: lambda v, _=2, dim=0: v.new_empty(
        [n ** (i == dim) for i, n in enumerate(v.shape)] * (dim >= 0)
    ),
    weight_norm_kernel: lambda v, *_: v,
    torch.lstm: recurrent,  # it would loop over the steps
    torch.randn: torch.empty,
}
"""Functions that return tensors of the shapes that functions of torch return, without computing values."""
SHAPES |= {
    getattr(t, f): partial(elementwise, getattr(t, f))
    for t in (torch, Tensor)
    for f in ("add", "sub", "mul", "div", "sqrt", "rsqrt")
}


class Outline(TorchFunctionMode):
    """Skip computations of values on the meta device, and keep track of the tensors without memory.

    Skipping is for speed: on the meta device, these functions run in Python, and the first of them imports torch's
    compiler, which takes seconds.

    Args:
        where: Name of the model in messages.

    Attributes:
        parameters: Number of parameters so far.
        created: References to all tensors so far.
    """

    def __init__(self, where: str) -> None:
        super().__init__()
        self.where, self.thread = where, threading.get_ident()
        self.parameters = 0
        self.created: list[weakref.ref[Tensor]] = []

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        """Call a function of torch, or return tensors of the shapes that it returns."""
        if func in FILLING:
            return args[0] if args else next(iter((kwargs or {}).values()))
        result = SHAPES[func](*args) if func in SHAPES and not kwargs else func(*args, **(kwargs or {}))
        results = result if isinstance(result, tuple | list) else (result,)
        self.created += [weakref.ref(tensor) for tensor in results if isinstance(tensor, Tensor)]
        return result

    def register(self, module: nn.Module, name: str, parameter: nn.Parameter | None) -> None:
        """Count a parameter.

        Args:
            module: Module that registers it.
            name: Its name.
            parameter: The parameter.

        Raises:
            CorruptFile: The network has too many parameters.
        """
        if threading.get_ident() != self.thread:  # the hook is called in every thread
            return
        self.parameters += 1
        if self.parameters > MOST_PARAMETERS:
            raise CorruptFile(f"{self.where} describes a network of more than {MOST_PARAMETERS:,} tensors")
        if parameter is not None:
            self.created.append(weakref.ref(parameter))

    def left(self, unread: Iterable[nn.Module] = ()) -> bool:
        """Return whether a tensor without memory is still in use.

        Args:
            unread: Networks that may have such tensors, because their weights were not read.
        """
        ignored = {id(tensor) for network in unread for tensor in (*network.parameters(), *network.buffers())}
        alive = [tensor for ref in self.created if (tensor := ref()) is not None]
        return any(tensor.is_meta and id(tensor) not in ignored for tensor in alive)


@contextmanager
def outlines(where: str) -> Iterator[Outline]:
    """Build networks without memory for their weights within this context.

    Args:
        where: Name of the model in messages.

    Yields:
        The Outline, which keeps track of the tensors.

    Raises:
        CorruptFile: A network has too many parameters.
    """
    outline = Outline(where)
    handle = register_module_parameter_registration_hook(outline.register)
    try:
        with torch.device("meta"), outline:
            yield outline
    finally:
        handle.remove()
