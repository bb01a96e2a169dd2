"""Images of a trained generator: by class, interpolated, along directions, or nearest to a given image.

A new way to look into a generator goes here.
"""

from ganzoo.sampling.codes import Codes
from ganzoo.sampling.directions import Directions, find_directions
from ganzoo.sampling.inversion import Projection, project
from ganzoo.sampling.show import by_class, gif, interpolate, mp4, there_and_back
from ganzoo.sampling.write import folder_name, write_dataset, write_pictures

__all__ = [
    "Codes", "Directions", "Projection",
    "by_class", "find_directions", "folder_name", "gif", "interpolate", "mp4", "project", "there_and_back",
    "write_dataset", "write_pictures",
]  # fmt: skip
