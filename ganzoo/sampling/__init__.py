"""Looking into a trained generator: by class, between latents, along directions, back from an image."""

from ganzoo.sampling.directions import Directions, find_directions
from ganzoo.sampling.inversion import Projection, project
from ganzoo.sampling.show import animation, by_class, interpolate
from ganzoo.sampling.write import folder_name, write_dataset, write_pictures

__all__ = [
    "Directions", "Projection",
    "animation", "by_class", "find_directions", "folder_name", "interpolate", "project",
    "write_dataset", "write_pictures",
]  # fmt: skip
