"""Losses, penalties and augmentations."""

from ganzoo import Component

LOSSES = [
    Component(
        "nonsaturating",
        "ganzoo_zoo.losses.gan:nonsaturating",
        "the original GAN's practical form",
        "Goodfellow et al. 2014, arXiv:1406.2661",
        "values as of torch-mimicry 0.1.16",
        tags=("vanishing generator gradient",),
    ),
    Component(
        "minimax",
        "ganzoo_zoo.losses.gan:minimax",
        "the original GAN's game for one value; its generator learns little while it loses",
        "Goodfellow et al. 2014, arXiv:1406.2661",
        "values as of torchgan 0.1.0",
    ),
    Component(
        "lsgan",
        "ganzoo_zoo.losses.gan:lsgan",
        "least squares",
        "Mao et al. 2017, arXiv:1611.04076",
        "values as of torchgan 0.1.0",
    ),
    Component(
        "relativistic",
        "ganzoo_zoo.losses.gan:relativistic",
        "real and fake images in pairs; wants a gradient penalty",
        "Jolicoeur-Martineau 2019, arXiv:1807.00734; Huang et al. 2024, arXiv:2501.05441",
        "values as of the author's code at 2646c0b",
    ),
    Component(
        "relativistic-average",
        "ganzoo_zoo.losses.gan:relativistic_average",
        "each image against the mean of the other sort",
        "Jolicoeur-Martineau 2019, arXiv:1807.00734",
        "values as of the author's code at 2646c0b",
    ),
    Component(
        "energy",
        "ganzoo_zoo.losses.gan:energy",
        "a margin of energy",
        "Zhao et al. 2017 (EBGAN), arXiv:1609.03126",
        "values as of torchgan 0.1.0",
    ),
    Component(
        "hinge",
        "ganzoo_zoo.losses.gan:hinge",
        "a margin for the discriminator",
        "Lim and Ye 2017, arXiv:1705.02894; Miyato et al. 2018, arXiv:1802.05957",
        "values as of torch-mimicry 0.1.16",
        tags=("vanishing generator gradient",),
    ),
    Component(
        "wasserstein",
        "ganzoo_zoo.losses.gan:wasserstein",
        "difference of means; wants a Lipschitz penalty",
        "Arjovsky et al. 2017, arXiv:1701.07875",
        "values as of torch-mimicry 0.1.16",
    ),
]
"""Adversarial losses."""


PENALTIES = [
    Component(
        "r1",
        "ganzoo_zoo.penalties.gradient:R1",
        "squared gradient at real images",
        "Mescheder et al. 2018, arXiv:1801.04406",
        "values and gradients as of rosinality/stylegan2-pytorch at bef283a",
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
        "squared gradient at generated images",
        "Mescheder et al. 2018, arXiv:1801.04406",
        "values as of R3GAN at 19a7ddf",
    ),
    Component(
        "dragan",
        "ganzoo_zoo.penalties.gradient:Dragan",
        "gradient norm near 1 around real images",
        "Kodali et al. 2017, arXiv:1705.07215",
        "values as of StudioGAN at 947b35e",
    ),
    Component(
        "lecam",
        "ganzoo_zoo.penalties.realness:LeCam",
        "realness stays near its average; for few images",
        "Tseng et al. 2021, arXiv:2104.03310",
        "values as of the authors' code at f9af948, where its squares are not cut at 0",
    ),
    Component(
        "bcr",
        "ganzoo_zoo.penalties.realness:BalancedConsistency",
        "realness is the same for a mirrored, shifted image",
        "Zhang et al. 2020 (CR), arXiv:1910.12027; Zhao et al. 2021, arXiv:2002.04724",
    ),
    Component(
        "clip",
        "ganzoo_zoo.penalties.weights:Clip",
        "the discriminator's weights stay in a box",
        "Arjovsky et al. 2017, arXiv:1701.07875",
    ),
    Component(
        "historical",
        "ganzoo_zoo.penalties.weights:HistoricalAverage",
        "weights stay near their average",
        "Salimans et al. 2016, arXiv:1606.03498",
    ),
    Component(
        "orthogonal",
        "ganzoo_zoo.penalties.weights:Orthogonal",
        "filters at right angles",
        "Brock et al. 2019 (BigGAN), arXiv:1809.11096",
        "gradients as of BigGAN-PyTorch at 9845943",
    ),
    Component(
        "gradient_penalty",
        "ganzoo_zoo.penalties.gradient:GradientPenalty",
        "gradient norm near 1 between real and fake images",
        "Gulrajani et al. 2017, arXiv:1704.00028",
        "values and gradients as of torch-mimicry 0.1.16",
        tags=("no convergence", "divergence"),
    ),
    Component(
        "consistency",
        "ganzoo_zoo.penalties.classifier:Consistency",
        "two passes of an image agree in spite of dropout",
        "Wei et al. 2018 (CT-GAN), arXiv:1803.01541",
    ),
    Component(
        "manifold",
        "ganzoo_zoo.penalties.classifier:Manifold",
        "class logits are flat along the generated manifold",
        "Lecouat et al. 2018, arXiv:1805.08957",
    ),
    Component(
        "vat",
        "ganzoo_zoo.penalties.classifier:VirtualAdversarial",
        "class probabilities are flat where they are steepest",
        "Miyato et al. 2018, arXiv:1704.03976",
        "values as of VAT-pytorch at 75a3974",
    ),
    Component(
        "entropy",
        "ganzoo_zoo.penalties.classifier:Entropy",
        "unlabelled images are classified surely",
        "Grandvalet and Bengio 2004, NeurIPS",
    ),
    Component(
        "balance",
        "ganzoo_zoo.penalties.classifier:Balance",
        "all classes are said equally often",
        "Krause et al. 2010, NeurIPS",
    ),
    Component(
        "pull_away",
        "ganzoo_zoo.penalties.classifier:PullAway",
        "generated images have different features",
        "Zhao et al. 2017 (EBGAN), arXiv:1609.03126",
    ),
]
"""Further terms: of the discriminator's smoothness, and of what it says of unlabelled images."""


AUGMENTS = [
    Component(
        "diffaugment",
        "ganzoo_zoo.augments.diffaugment:DiffAugment",
        "colour, translation and cutout",
        "Zhao et al. 2020, arXiv:2006.10738",
        "written from the paper, §4; outputs as of the authors' code at 0b63395",
    ),
    Component(
        "ada",
        "ganzoo_zoo.augments.adaptive:ADA",
        "geometry and colour, as often as the discriminator overfits",
        "Karras et al. 2020, arXiv:2006.06676",
        "written from the paper, §3 and appendix B; resampled bilinearly",
        tags=("discriminator too strong",),
    ),
    Component(
        "apa",
        "ganzoo_zoo.augments.adaptive:APA",
        "generated images shown as real ones, as often as the discriminator overfits",
        "Jiang et al. 2021, arXiv:2111.06849",
    ),
    Component(
        "instance-noise",
        "ganzoo_zoo.augments.instance_noise:InstanceNoise",
        "Gaussian noise that falls to none",
        "Sønderby et al. 2017, arXiv:1610.04490",
        tags=("vanishing generator gradient", "discriminator too strong"),
    ),
]
"""Differentiable changes of what the discriminator sees."""
