"""The discriminator of R3GAN. Huang et al. 2024, arXiv:2501.05441, §3 and appendix.

The network for CIFAR-10, layer by layer:

    1×1 from the image       3 × 768                                                      2,304
    8 blocks                 2,583,552 each, as in the generator                     20,668,416
    depthwise 4×4            768 × 4 × 4                                                 12,288
                             the trunk without `projection`                          20,683,008
    linear                   768 × 768                                                  589,824
                             the trunk with `projection`                             21,272,832
    vectors of the classes   10 × 768, in the head                                        7,680
                                                                                     21,280,512
"""

from __future__ import annotations

from ganzoo_zoo.layers import base_grid
from torch import Tensor, nn

from ganzoo import ImageShape
from ganzoo_r3gan.layers import Resample, channels_of, normal, pointwise, stage


class Discriminator(nn.Module):
    """R3GAN's discriminator: stages of two residual blocks without normalisation, between which the side is halved.

    A depthwise 4×4 convolution reduces the last maps to features. In the paper a linear layer follows. Without classes
    it is the last layer, which the strategy's head creates. With classes it has as many outputs as features, and the
    adversarial logit is their inner product with a class embedding: with `projection` the trunk ends with that layer.

    At 32×32 RGB the trunk has 20,683,008 parameters, and 20,683,776 with one adversarial logit. With `projection` it
    has 21,272,832, and with embeddings of 10 classes it is the paper's CIFAR-10 network, with 21,280,512. A projection
    head that adds a term ψ of its own has 768 more; the functions that it represents are the same.

    Args:
        shape: Shape of the images.
        width: Channels at every side up to 32; halved with each doubling beyond. The features are as many as the
            channels at 4×4.
        widths: Channels at the sides 4, 8, …, one number for each, instead of `width`.
        cardinality: Groups of the 3×3 convolutions, a divisor of twice every width; default: groups of 16 channels,
            which are 96 groups at width 768.
        projection: End with a linear layer, for strategies whose head projects features on classes.

    Raises:
        BadOption: `widths` or `cardinality` does not fit.
    """

    def __init__(
        self,
        shape: ImageShape,
        width: int = 768,
        widths: tuple[int, ...] | None = None,
        cardinality: int | None = None,
        projection: bool = False,
    ) -> None:
        super().__init__()
        rows, columns, halvings = base_grid(shape)
        channels = channels_of(halvings, width, widths)[::-1]
        layers: list[nn.Module] = [pointwise(shape.channels, channels[0])]
        for i, after in enumerate(channels):
            if i:
                before = channels[i - 1]
                layers += [Resample(up=False)]
                layers += [] if before == after else [pointwise(before, after)]
            layers += stage(after, cardinality, len(channels))
        features = self.num_features = channels[-1]
        layers += [normal(nn.Conv2d(features, features, (rows, columns), groups=features, bias=False)), nn.Flatten()]
        if projection:
            layers += [normal(nn.Linear(features, features, bias=False))]
        self.layers = nn.Sequential(*layers)

    def last_layer(self, outputs: int) -> nn.Module:
        """Return a linear layer without bias, which cancels in the difference of two logits."""
        return normal(nn.Linear(self.num_features, outputs, bias=False))

    def forward(self, x: Tensor) -> Tensor:
        """Map images `[B, C, H, W]` in [-1, 1] to features `[B, num_features]`."""
        features: Tensor = self.layers(x)
        return features
