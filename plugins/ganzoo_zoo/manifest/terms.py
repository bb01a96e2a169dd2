"""Losses, penalties and augmentations."""

from ganzoo import Component

LOSSES = [
    Component(
        "nonsaturating",
        "ganzoo_zoo.losses.gan:nonsaturating",
        "non-saturating loss of the original GAN",
        "Goodfellow et al. 2014, arXiv:1406.2661",
        "values equal those of torch-mimicry 0.1.16",
        tags=("vanishing generator gradient",),
    ),
    Component(
        "minimax",
        "ganzoo_zoo.losses.gan:minimax",
        "minimax loss of the original GAN; the generator's gradient vanishes if the discriminator is strong",
        "Goodfellow et al. 2014, arXiv:1406.2661",
        "values equal those of torchgan 0.1.0",
    ),
    Component(
        "lsgan",
        "ganzoo_zoo.losses.gan:lsgan",
        "least-squares loss",
        "Mao et al. 2017, arXiv:1611.04076",
        "values equal those of torchgan 0.1.0",
    ),
    Component(
        "relativistic",
        "ganzoo_zoo.losses.gan:relativistic",
        "relativistic pairing loss of real and fake images; needs a gradient penalty",
        "Jolicoeur-Martineau 2019, arXiv:1807.00734; Huang et al. 2024, arXiv:2501.05441",
        "values equal those of the author's code at 2646c0b",
    ),
    Component(
        "relativistic-average",
        "ganzoo_zoo.losses.gan:relativistic_average",
        "relativistic loss of each image against the mean of the opposite kind",
        "Jolicoeur-Martineau 2019, arXiv:1807.00734",
        "values equal those of the author's code at 2646c0b",
    ),
    Component(
        "energy",
        "ganzoo_zoo.losses.gan:energy",
        "energy-based GAN loss with a margin",
        "Zhao et al. 2017 (EBGAN), arXiv:1609.03126",
        "values equal those of torchgan 0.1.0",
    ),
    Component(
        "hinge",
        "ganzoo_zoo.losses.gan:hinge",
        "hinge loss",
        "Lim and Ye 2017, arXiv:1705.02894; Miyato et al. 2018, arXiv:1802.05957",
        "values equal those of torch-mimicry 0.1.16",
        tags=("vanishing generator gradient",),
    ),
    Component(
        "wasserstein",
        "ganzoo_zoo.losses.gan:wasserstein",
        "Wasserstein loss: the difference of mean logits; needs a Lipschitz constraint",
        "Arjovsky et al. 2017, arXiv:1701.07875",
        "values equal those of torch-mimicry 0.1.16",
    ),
]
"""Adversarial losses."""


PENALTIES = [
    Component(
        "r1",
        "ganzoo_zoo.penalties.gradient:R1",
        "squared gradient norm at real images",
        "Mescheder et al. 2018, arXiv:1801.04406",
        "values and gradients equal those of rosinality/stylegan2-pytorch at bef283a",
        tags=(
            "vanishing generator gradient",
            "discriminator too strong",
            "mode collapse",
            "no convergence",
            "divergence",
        ),
    ),
    Component(
        "r2",
        "ganzoo_zoo.penalties.gradient:R2",
        "squared gradient norm at generated images",
        "Mescheder et al. 2018, arXiv:1801.04406",
        "values equal those of R3GAN at 19a7ddf",
    ),
    Component(
        "dragan",
        "ganzoo_zoo.penalties.gradient:Dragan",
        "gradient norm near 1 around real images (DRAGAN)",
        "Kodali et al. 2017, arXiv:1705.07215",
        "values equal those of StudioGAN at 947b35e",
    ),
    Component(
        "lecam",
        "ganzoo_zoo.penalties.realness:LeCam",
        "keeps logits near their moving averages; for limited data",
        "Tseng et al. 2021, arXiv:2104.03310",
        "values equal those of the authors' code at f9af948 where it does not clip the squares at 0",
    ),
    Component(
        "bcr",
        "ganzoo_zoo.penalties.realness:BalancedConsistency",
        "balanced consistency: the logit is invariant to mirroring and shifts",
        "Zhang et al. 2020 (CR), arXiv:1910.12027; Zhao et al. 2021, arXiv:2002.04724",
    ),
    Component(
        "clip",
        "ganzoo_zoo.penalties.weights:Clip",
        "weight clipping of the discriminator",
        "Arjovsky et al. 2017, arXiv:1701.07875",
    ),
    Component(
        "historical",
        "ganzoo_zoo.penalties.weights:HistoricalAverage",
        "historical averaging: keeps weights near their moving average",
        "Salimans et al. 2016, arXiv:1606.03498",
    ),
    Component(
        "orthogonal",
        "ganzoo_zoo.penalties.weights:Orthogonal",
        "orthogonal regularisation of the filters",
        "Brock et al. 2019 (BigGAN), arXiv:1809.11096",
        "gradients equal those of BigGAN-PyTorch at 9845943",
    ),
    Component(
        "gradient-penalty",
        "ganzoo_zoo.penalties.gradient:GradientPenalty",
        "gradient norm near 1 between real and fake images (WGAN-GP)",
        "Gulrajani et al. 2017, arXiv:1704.00028",
        "values and gradients equal those of torch-mimicry 0.1.16",
        tags=("no convergence", "divergence"),
        former_names=("gradient_penalty",),
    ),
    Component(
        "consistency",
        "ganzoo_zoo.penalties.classifier:Consistency",
        "consistency of two passes of an image with different dropout",
        "Wei et al. 2018 (CT-GAN), arXiv:1803.01541",
    ),
    Component(
        "manifold",
        "ganzoo_zoo.penalties.classifier:Manifold",
        "penalises changes of the class logits along the generated manifold",
        "Lecouat et al. 2018, arXiv:1805.08957",
    ),
    Component(
        "vat",
        "ganzoo_zoo.penalties.classifier:VirtualAdversarial",
        "virtual adversarial training",
        "Miyato et al. 2018, arXiv:1704.03976",
        "values equal those of VAT-pytorch at 75a3974",
    ),
    Component(
        "entropy",
        "ganzoo_zoo.penalties.classifier:Entropy",
        "entropy minimisation of the predictions for unlabelled images",
        "Grandvalet and Bengio 2004, NeurIPS",
    ),
    Component(
        "balance",
        "ganzoo_zoo.penalties.classifier:Balance",
        "encourages equal frequencies of the predicted classes",
        "Krause et al. 2010, NeurIPS",
    ),
    Component(
        "pull-away",
        "ganzoo_zoo.penalties.classifier:PullAway",
        "pull-away term: generated images get features of different directions",
        "Zhao et al. 2017 (EBGAN), arXiv:1609.03126",
        former_names=("pull_away",),
    ),
]
"""Penalties and regularisers."""


AUGMENTS = [
    Component(
        "diffaugment",
        "ganzoo_zoo.augments.diffaugment:DiffAugment",
        "differentiable colour, translation and cutout",
        "Zhao et al. 2020, arXiv:2006.10738",
        "written from the paper, §4; outputs equal those of the authors' code at 0b63395",
    ),
    Component(
        "ada",
        "ganzoo_zoo.augments.adaptive:ADA",
        "adaptive discriminator augmentation: geometry and colour, with a probability that follows overfitting",
        "Karras et al. 2020, arXiv:2006.06676",
        "written from the paper, §3 and appendix B; bilinear resampling",
        tags=("discriminator too strong",),
    ),
    Component(
        "apa",
        "ganzoo_zoo.augments.adaptive:APA",
        "adaptive pseudo augmentation: generated images among the real ones, as a remedy against overfitting",
        "Jiang et al. 2021, arXiv:2111.06849",
    ),
    Component(
        "instance-noise",
        "ganzoo_zoo.augments.instance_noise:InstanceNoise",
        "Gaussian noise that decays to 0 over the run",
        "Sønderby et al. 2017, arXiv:1610.04490",
        tags=("vanishing generator gradient", "discriminator too strong"),
    ),
]
"""Differentiable augmentations of the discriminator's input."""
