"""Images and labels: sources of data, the split into training and held-out images, and batches.

To support another file format, add a function that returns a `Source`. To add a view, add a function to `views`.
"""

from ganzoo.data.batches import Batches, Draw
from ganzoo.data.locate import open_source
from ganzoo.data.prepare import Dataset, prepare_data
from ganzoo.data.source import Source, Table
from ganzoo.data.split import SPLIT, SavedSplit, Split

__all__ = [
    "SPLIT",
    "Batches",
    "Dataset",
    "Draw",
    "SavedSplit",
    "Source",
    "Split",
    "Table",
    "open_source",
    "prepare_data",
]
