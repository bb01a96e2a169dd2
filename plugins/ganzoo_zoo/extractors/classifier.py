"""A small classifier, trained here on the labelled images: features without any download."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ganzoo.data import Dataset
from ganzoo.errors import BadData, CorruptFile
from ganzoo.pictures import from_uint8
from ganzoo.storage import load_weights, read_tensors, tensor_bytes, write_file

WIDTHS = (32, 64, 128)
BATCH = 128


def network(channels: int, classes: int) -> nn.Module:
    """Return three convolutions of 3×3 with batch norm, each halving the side, the mean over places, and classes."""
    layers: list[nn.Module] = []
    for before, after in zip((channels, *WIDTHS), WIDTHS, strict=False):
        layers += [
            nn.Conv2d(before, after, 3, padding=1, bias=False),
            nn.BatchNorm2d(after),
            nn.ReLU(),
            nn.MaxPool2d(2, ceil_mode=True),
        ]
    body = nn.Sequential(*layers, nn.AdaptiveAvgPool2d(2), nn.Flatten())
    return nn.ModuleDict({"body": body, "head": nn.Linear(4 * WIDTHS[-1], classes)})


class Classifier:
    """The last features of a small convolutional network, trained on the labelled training images.

    Training is the same for the same images, labels and options; the weights are kept in the user's cache, so that
    scores of several runs are of one extractor. Scores of it mean something for one data set alone.

    Args:
        steps: of Adam, on batches of 128.
        lr: learning rate at the start, which falls along a line to 0.
        cache: folder of trained weights; default: `ganzoo/extractors` in the user's cache.
    """

    resize = "none"

    def __init__(self, steps: int = 300, lr: float = 2e-3, cache: str = "") -> None:
        self.steps, self.lr = steps, lr
        usual = Path(os.environ.get("XDG_CACHE_HOME", "~/.cache")) / "ganzoo" / "extractors"
        self.folder = Path(cache or usual).expanduser()
        self.sha256 = ""
        self.network: Any = None

    def fit(self, data: Dataset, device: torch.device) -> None:
        """Train, or take up what an earlier training left. Raises BadData without labels of two classes."""
        if data.shape.classes < 2 or len(data.labelled) < data.shape.classes:
            raise BadData(
                "this extractor learns from labelled images of two classes and more; choose another: --features"
            )
        made: Any = network(data.shape.channels, data.shape.classes)
        parts = [
            data.train.fingerprint(),
            data.labelled.tolist(),
            data.labels.tolist(),
            self.steps,
            self.lr,
            data.shape,
        ]
        path = self.folder / f"{hashlib.sha256(repr(parts).encode()).hexdigest()[:32]}.safetensors"
        if not self._restored(made, path):
            with torch.random.fork_rng():
                torch.manual_seed(0)
                made = network(data.shape.channels, data.shape.classes).to(device)
                train(made, data, self.steps, self.lr, device)
            path.parent.mkdir(parents=True, exist_ok=True)
            write_file(path, tensor_bytes(made.state_dict()))
        self.network = made.to(device).eval().requires_grad_(False)
        self.sha256 = hashlib.sha256(path.read_bytes()).hexdigest()

    @staticmethod
    def _restored(made: nn.Module, path: Path) -> bool:
        try:
            load_weights(made, read_tensors(path), str(path))
        except CorruptFile:  # missing, or cut short
            return False
        return True

    @torch.no_grad()
    def __call__(self, images: Tensor) -> tuple[Tensor, Tensor | None]:
        """Map uint8 images `[B, C, H, W]` to features `[B, 512]` and class logits `[B, K]`."""
        device = next(self.network.parameters()).device
        features = self.network["body"](from_uint8(images.to(device)))
        return features, self.network["head"](features)


def train(network: Any, data: Dataset, steps: int, lr: float, device: torch.device) -> None:
    """Train a network on the labelled images, shifted by up to two pixels."""
    optimizer = torch.optim.Adam(network.parameters(), lr)
    network.train()
    places = drawn(len(data.labelled), steps)
    for step, (some, images) in enumerate(
        zip(places, data.train.batches(data.labelled[p] for p in places), strict=True)
    ):
        for group in optimizer.param_groups:
            group["lr"] = lr * (1 - step / steps)
        x = F.pad(from_uint8(images.to(device)), (2, 2, 2, 2), mode="replicate")
        left, top = torch.randint(5, (2,)).tolist()
        x = x[:, :, top : top + images.shape[2], left : left + images.shape[3]]
        loss = F.cross_entropy(network["head"](network["body"](x)), data.labels[some].to(device))
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()


def drawn(count: int, steps: int) -> list[Tensor]:
    """Return the positions of every batch: fresh permutations, one after the other."""
    rng = torch.Generator().manual_seed(0)

    def endless() -> Iterator[Tensor]:
        while True:
            yield torch.randperm(count, generator=rng)

    order: list[Tensor] = []
    total = 0
    for permutation in endless():
        order.append(permutation)
        total += count
        if total >= steps * BATCH:
            break
    return list(torch.cat(order)[: steps * BATCH].split(BATCH))  # type: ignore[no-untyped-call]
