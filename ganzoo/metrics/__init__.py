"""Evaluation: feature extractors, metrics, and the stamp that records the protocol of a score.

Metrics and extractors themselves are components of plugins.
"""

from ganzoo.metrics.classification import ClassCounts
from ganzoo.metrics.evidence import Evidence, Extractor, Features, Metric
from ganzoo.metrics.moments import Moments, frechet_distance
from ganzoo.metrics.score import Score, Stamp

__all__ = [
    "ClassCounts",
    "Evidence",
    "Extractor",
    "Features",
    "Metric",
    "Moments",
    "Score",
    "Stamp",
    "frechet_distance",
]
