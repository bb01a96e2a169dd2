"""Images and labels: where they come from, whose label may be seen, and how a step gets its batch."""

from ganzoo.data.batches import Batches, Draw
from ganzoo.data.prepare import Dataset, prepare_data
from ganzoo.data.sources import open_source
from ganzoo.data.split import SPLIT, Split

__all__ = ["SPLIT", "Batches", "Dataset", "Draw", "Split", "open_source", "prepare_data"]
