"""A small classifier, trained here on the labelled images: features without any download."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ganzoo import ImageShape
from ganzoo.data import Dataset
from ganzoo.data.batches import Stream
from ganzoo.data.prepare import Images
from ganzoo.errors import BadData, CorruptFile
from ganzoo.pictures import from_uint8
from ganzoo.storage import load_weights, read_tensors, tensor_bytes, write_file
from ganzoo_zoo.extractors.cache import folder

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
        self.folder = folder(cache)
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
            made = trained(data.train, data.labelled, data.labels, data.shape, self.steps, self.lr, device)
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


def trained(
    images: Images, places: Tensor, labels: Tensor, shape: ImageShape, steps: int, lr: float, device: torch.device
) -> Any:
    """Return a network trained on the images at some places, whose labels are given: shifted by up to two pixels."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        made: Any = network(shape.channels, shape.classes).to(device)
        optimizer = torch.optim.Adam(made.parameters(), lr)
        draws = Stream(images, places, BATCH, ("classifier",), 0, 1)
        for step in range(steps):
            for group in optimizer.param_groups:
                group["lr"] = lr * (1 - step / steps)
            some, batch = draws.at(step)
            x = F.pad(from_uint8(batch.to(device)), (2, 2, 2, 2), mode="replicate")
            left, top = torch.randint(5, (2,)).tolist()
            x = x[:, :, top : top + batch.shape[2], left : left + batch.shape[3]]
            loss = F.cross_entropy(made["head"](made["body"](x)), labels[some].to(device))
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
    return made
