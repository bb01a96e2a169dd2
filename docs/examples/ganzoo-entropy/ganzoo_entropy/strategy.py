from dataclasses import dataclass

from ganzoo_zoo.ssl.kplus1 import KPlusOne

from ganzoo.contracts import Terms
from ganzoo.strategy import Step


@dataclass
class MinimumEntropy(KPlusOne):
    """K+1 whose classifier is asked to be sure of unlabelled images. Grandvalet and Bengio 2004.

    Args:
        entropy_weight: weight of the mean entropy of the class probabilities, in nats.
    """

    entropy_weight: float = 0.1

    def discriminator(self, s: Step) -> Terms:
        terms = super().discriminator(s)
        (real,) = s.see("real")  # already seen above: no second pass
        assert real.logits is not None
        entropy = -(real.logits.softmax(1) * real.logits.log_softmax(1)).sum(1).mean()
        return {**terms, "entropy": self.entropy_weight * entropy}
