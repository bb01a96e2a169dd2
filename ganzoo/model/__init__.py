"""A trained model: its networks, its folder, its card, and the Hub. What a model can do is a method in `gan`."""

from ganzoo.model.build import ModelComponents, NamedComponent, count_parameters
from ganzoo.model.gan import GAN

__all__ = ["GAN", "ModelComponents", "NamedComponent", "count_parameters"]
