"""Fixtures of these tests."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch
from torch import Tensor

from tests.zoo.math.reference import F32, F64


@pytest.fixture(autouse=True)
def double(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    # Critics, coders and generated images are cast to fp32 by `.float()`; were it so here, 1e-9 would mean nothing.
    monkeypatch.setattr(Tensor, "float", lambda self: self.double())
    torch.set_default_dtype(F64)
    torch.manual_seed(0)
    yield
    torch.set_default_dtype(F32)
