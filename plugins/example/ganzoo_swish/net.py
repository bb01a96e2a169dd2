"""An ordinary module."""

from torch import Tensor, nn

from ganzoo import ImageShape


class Generator(nn.Module):
    """z → hidden → image, with swish between.

    Args:
        hidden: units of the hidden layer.
    """

    def __init__(self, shape: ImageShape, hidden: int = 256) -> None:
        super().__init__()
        self.z_dim, self.shape = 64, shape
        pixels = shape.channels * shape.size**2
        self.layers = nn.Sequential(nn.Linear(self.z_dim, hidden), nn.SiLU(), nn.Linear(hidden, pixels), nn.Tanh())

    def forward(self, z: Tensor, y: Tensor | None = None) -> Tensor:
        """Map z `[B, 64]` to images in [-1, 1]."""
        x: Tensor = self.layers(z)
        return x.reshape(-1, self.shape.channels, self.shape.size, self.shape.size)
