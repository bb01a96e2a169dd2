"""A small classifier that is trained on the labelled images: features without a download."""

from __future__ import annotations

import hashlib
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ganzoo import ImageShape
from ganzoo.base.pictures import from_uint8
from ganzoo.base.storage import load_weights, read_tensors, tensor_bytes, write_file, writing
from ganzoo.data import Dataset
from ganzoo.data.batches import Stream
from ganzoo.data.images import Images
from ganzoo.errors import BadData, CannotWrite, CorruptFile, Notice
from ganzoo_zoo.extractors.cache import weights_folder

WIDTHS = (32, 64, 128)
BATCH = 128


def build_network(channels: int, classes: int) -> nn.Module:
    """Return a small convolutional classifier as a `ModuleDict` of "body" and "head".

    Three 3×3 convolutions with batch norm and ReLU, each followed by 2×2 max pooling, then average pooling to 2×2 and a
    linear layer.

    Args:
        channels: Channels of the images.
        classes: Number of classes.
    """
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


@dataclass(frozen=True)
class TrainingSet:
    """Labelled images to train a classifier on.

    Attributes:
        images: The images.
        indices: Which of the images to use, `[N]` int64.
        labels: Their labels, `[N]` int64.
        shape: Shape of the images.
    """

    images: Images
    indices: Tensor
    labels: Tensor
    shape: ImageShape


class Classifier:
    """The last hidden features of a small convolutional network that is trained on the labelled training images.

    The same images, labels and options always give the same training, and the weights are cached, so that several runs
    are scored by the same extractor. Scores can be compared within one data set only.

    Args:
        steps: Steps of Adam, on batches of 128 images.
        lr: Initial learning rate, which decays linearly to 0.
        cache: Folder of trained weights; default: `ganzoo/extractors` in the user's cache.
    """

    resize = "none"

    def __init__(self, steps: int = 300, lr: float = 2e-3, cache: str = "") -> None:
        self.steps, self.lr = steps, lr
        self.folder = weights_folder(cache)
        self.sha256 = ""
        self.network: Any = None

    def fit(self, data: Dataset, device: torch.device) -> None:
        """Train the classifier, or load cached weights.

        Args:
            data: Data set with labelled training images.
            device: Device to train and to compute features on.

        Raises:
            BadData: There are fewer than two classes, or fewer labels than classes.
        """
        if data.shape.classes < 2 or len(data.labelled) < data.shape.classes:
            raise BadData(
                "this extractor is trained on labelled images of at least two classes; choose another: --extractor"
            )
        network: Any = build_network(data.shape.channels, data.shape.classes)
        inputs = [
            data.train.fingerprint(),
            data.labelled.tolist(),
            data.labels.tolist(),
            self.steps,
            self.lr,
            data.shape,
        ]
        path = self.folder / f"{hashlib.sha256(repr(inputs).encode()).hexdigest()[:32]}.safetensors"
        if self._load_cached(network, path):
            content = path.read_bytes()
        else:
            labelled = TrainingSet(data.train, data.labelled, data.labels, data.shape)
            network = train_classifier(labelled, self.steps, self.lr, device)
            content = tensor_bytes(network.state_dict())
            self._save(path, content)
        self.network = network.to(device).eval().requires_grad_(False)
        self.sha256 = hashlib.sha256(content).hexdigest()

    @staticmethod
    def _save(path: Path, content: bytes) -> None:
        try:
            with writing(path):
                path.parent.mkdir(parents=True, exist_ok=True)
            write_file(path, content)
        except CannotWrite as error:
            warnings.warn(
                f"the extractor cannot be cached, and is trained again next time ({error.__cause__}); set "
                "XDG_CACHE_HOME to a folder that can be written",
                Notice,
                stacklevel=2,
            )

    @staticmethod
    def _load_cached(network: nn.Module, path: Path) -> bool:
        try:
            load_weights(network, read_tensors(path), str(path))
        except CorruptFile:  # missing or incomplete
            return False
        return True

    @torch.no_grad()
    def __call__(self, images: Tensor) -> tuple[Tensor, Tensor | None]:
        """Extract features.

        Args:
            images: uint8 images `[B, C, H, W]`.

        Returns:
            Features `[B, 512]` and class logits `[B, K]`.
        """
        device = next(self.network.parameters()).device
        features = self.network["body"](from_uint8(images.to(device)))
        return features, self.network["head"](features)


def train_classifier(data: TrainingSet, steps: int, lr: float, device: torch.device) -> Any:
    """Train a network as `build_network` returns it, on images shifted by up to two pixels.

    Args:
        data: Images and labels.
        steps: Steps of Adam, on batches of 128 images.
        lr: Initial learning rate, which decays linearly to 0.
        device: Device to train on.

    Returns:
        The network, in training mode.
    """
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network: Any = build_network(data.shape.channels, data.shape.classes).to(device)
        optimizer = torch.optim.Adam(network.parameters(), lr)
        draws = Stream(data.images, data.indices, BATCH, ("classifier",), 0, 1)
        for step in range(steps):
            for group in optimizer.param_groups:
                group["lr"] = lr * (1 - step / steps)
            some, batch = draws.at(step)
            x = F.pad(from_uint8(batch.to(device)), (2, 2, 2, 2), mode="replicate")
            left, top = torch.randint(5, (2,)).tolist()
            x = x[:, :, top : top + batch.shape[2], left : left + batch.shape[3]]
            loss = F.cross_entropy(network["head"](network["body"](x)), data.labels[some].to(device))
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
    return network
