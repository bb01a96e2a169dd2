from dataclasses import dataclass

import torch
import torch.nn.functional as F
from ganzoo_zoo.ssl.heads import logits_of
from ganzoo_zoo.ssl.kplus1 import KPlusOne

from ganzoo.strategy import Step, Terms


@dataclass
class Interpolation(KPlusOne):
    """K+1 whose class probabilities are linear between two images. After Verma et al. 2019 (ICT), arXiv:1903.03825.

    weight · mean [p(m x + (1-m) x') - m q(x) - (1-m) q(x')]², where q are the averaged network's probabilities, x' is
    another unlabelled image, and m ~ U(0, 1).

    Args:
        interpolation_weight: Weight of the term.
    """

    interpolation_weight: float = 10.0

    def discriminator(self, s: Step) -> Terms:
        x = s.images("real")
        m = torch.rand(len(x), 1, device=s.device)
        with torch.no_grad():
            q = logits_of(s.averaged["discriminator"](x)).softmax(1)
        (out,) = s.discriminate_images(torch.lerp(x.flip(0), x, m[:, :, None, None]))
        distance = F.mse_loss(logits_of(out).softmax(1), torch.lerp(q.flip(0), q, m))
        return {**super().discriminator(s), "interpolation": self.interpolation_weight * distance}
