"""From a configuration to trained weights: assembly, the loop, optimizers and checkpoints.

A reason not to train belongs in `checks`, a setting of the optimizer in `optimizers`. Methods are strategies.
"""

from ganzoo.training.assemble import assemble
from ganzoo.training.experiment import Experiment
from ganzoo.training.trainer import Progress, Trainer

__all__ = ["Experiment", "Progress", "Trainer", "assemble"]
