"""The Inception network that FID, KID and the Inception score are defined by."""

from __future__ import annotations

import hashlib
import sys
from collections import OrderedDict
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from ganzoo.base.storage import load_weights
from ganzoo.data import Dataset
from ganzoo.errors import BadOption, CorruptFile, MissingExtra
from ganzoo_zoo.extractors import cache
from ganzoo_zoo.extractors.backbone import to_rgb
from ganzoo_zoo.extractors.checkpoint import read_checkpoint

URL = "https://github.com/toshas/torch-fidelity/releases/download/v0.2.0/weights-inception-2015-12-05-6726825d.pth"
SHA256 = "6726825d0af5f729cebd5821db510b11b1cfad8faad88a03f1befd49fb9129b2"
SIDE = 299


class Inception:
    """InceptionV3 as used by the reference implementations of FID and of the Inception score.

    Returns the 2048 pooled features, and the 1008 class logits without their bias, of the network that TensorFlow
    published on 2015-12-05. The network, the resizing and the weights are those of torch-fidelity. The weights are
    downloaded once; their SHA-256 is checked every time, and nothing in them is unpickled.

    Args:
        weights: File of the weights; default: downloaded to `ganzoo/extractors` in the user's cache.

    Raises:
        MissingExtra: torch-fidelity is not installed.
        BadOption: The weights cannot be downloaded.
        CorruptFile: The file cannot be read, or does not hold the published weights.
    """

    resize = f"bilinear as in TensorFlow 1, to {SIDE}×{SIDE}"

    def __init__(self, weights: str = "") -> None:
        try:
            self.network = build_network()
            from torch_fidelity.interpolate_compat_tensorflow import interpolate_bilinear_2d_like_tensorflow1x
        except ImportError as error:
            raise MissingExtra(
                f"'inception' needs torch-fidelity, which cannot be imported ({error}); "
                "pip install 'torch-ganzoo[fidelity]'"
            ) from error
        self.enlarge: Any = interpolate_bilinear_2d_like_tensorflow1x
        path = check_sha256(Path(weights).expanduser() if weights else download_weights())
        load_weights(self.network, read_checkpoint(path, self.network.state_dict()), str(path))
        self.network.eval().requires_grad_(False)
        self.sha256 = SHA256

    def fit(self, data: Dataset, device: torch.device) -> None:
        """Move the network to a device.

        Args:
            data: Not used.
            device: Device to compute features on.
        """
        self.network.to(device)

    @torch.no_grad()
    def __call__(self, images: Tensor) -> tuple[Tensor, Tensor | None]:
        """Extract features.

        Args:
            images: uint8 images `[B, C, H, W]` with 1, 3 or 4 channels.

        Returns:
            Features `[B, 2048]` and logits `[B, 1008]`.
        """
        last: Any = self.network[-1].weight
        x = self.enlarge(to_rgb(images).to(last.device).float(), size=(SIDE, SIDE), align_corners=False)
        features = self.network[:-1]((x - 128) / 128)
        return features, features @ last.T


def build_network() -> nn.Sequential:
    """Return the network, made of torch-fidelity's blocks, with the layer names of the weights file.

    Raises:
        ImportError: torch-fidelity is not installed.
    """
    from torch_fidelity import feature_extractor_inceptionv3 as blocks

    conv, pool = blocks.BasicConv2d, nn.MaxPool2d(3, 2)
    layers: dict[str, nn.Module] = {
        "Conv2d_1a_3x3": conv(3, 32, kernel_size=3, stride=2),
        "Conv2d_2a_3x3": conv(32, 32, kernel_size=3),
        "Conv2d_2b_3x3": conv(32, 64, kernel_size=3, padding=1),
        "pool_1": pool,
        "Conv2d_3b_1x1": conv(64, 80, kernel_size=1),
        "Conv2d_4a_3x3": conv(80, 192, kernel_size=3),
        "pool_2": pool,
        "Mixed_5b": blocks.InceptionA(192, pool_features=32),
        "Mixed_5c": blocks.InceptionA(256, pool_features=64),
        "Mixed_5d": blocks.InceptionA(288, pool_features=64),
        "Mixed_6a": blocks.InceptionB(288),
        **{
            f"Mixed_6{letter}": blocks.InceptionC(768, channels_7x7=width)
            for letter, width in zip("bcde", (128, 160, 160, 192), strict=True)
        },
        "Mixed_7a": blocks.InceptionD(768),
        "Mixed_7b": blocks.InceptionE_1(1280),
        "Mixed_7c": blocks.InceptionE_2(2048),
        "mean": nn.AdaptiveAvgPool2d(1),
        "flat": nn.Flatten(),
        "fc": nn.Linear(2048, 1008),
    }
    return nn.Sequential(OrderedDict(layers))


def download_weights() -> Path:
    """Return the path of the cached weights; download them first if necessary.

    Raises:
        BadOption: The download fails.
    """
    path = cache.weights_folder() / URL.rpartition("/")[2]
    if not path.is_file():
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            torch.hub.download_url_to_file(URL, str(path), SHA256, progress=sys.stderr.isatty())
        except (OSError, RuntimeError) as error:  # of the connection or the disk; a file with another SHA-256
            raise BadOption(
                f"the weights of 'inception' cannot be downloaded ({error}); download {URL} elsewhere, and give the "
                "file: --set extractor.weights=FILE"
            ) from error
    return path


def check_sha256(path: Path) -> Path:
    """Return a path after checking that the file holds the published weights.

    Raises:
        CorruptFile: The file cannot be read, or has another SHA-256.
    """
    try:
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise CorruptFile(f"the weights of 'inception' cannot be read from {path} ({error.strerror})") from error
    if digest != SHA256:
        raise CorruptFile(
            f"{path} does not hold the published weights: its SHA-256 is {digest}, not {SHA256}; delete it"
        )
    return path
