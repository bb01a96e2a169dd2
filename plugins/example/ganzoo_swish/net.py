"""The generator, an ordinary torch module."""

from torch import Tensor, nn

from ganzoo import ImageShape


class Generator(nn.Module):
    """A generator of two linear layers with swish (SiLU) between them.

    Args:
        shape: Shape of the images.
        hidden: Units of the hidden layer.
    """

    def __init__(self, shape: ImageShape, hidden: int = 256) -> None:
        super().__init__()
        self.z_dim, self.shape = 64, shape
        pixels = shape.pixels
        self.layers = nn.Sequential(nn.Linear(self.z_dim, hidden), nn.SiLU(), nn.Linear(hidden, pixels), nn.Tanh())

    def forward(self, z: Tensor, y: Tensor | None = None) -> Tensor:
        """Generate images.

        Args:
            z: Latents `[B, 64]`.
            y: Not used: the generator is unconditional.

        Returns:
            Images `[B, C, H, W]` in [-1, 1].
        """
        x: Tensor = self.layers(z)
        return x.reshape(-1, *self.shape.dimensions)
