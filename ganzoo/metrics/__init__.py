"""How good a model is: features of real and generated images, what metrics say of them, the stamp on every score."""

from ganzoo.metrics.evidence import Evidence, Features
from ganzoo.metrics.moments import Moments, frechet_distance
from ganzoo.metrics.score import Score, Stamp

__all__ = ["Evidence", "Features", "Moments", "Score", "Stamp", "frechet_distance"]
