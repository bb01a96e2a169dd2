"""The built-in components: a plugin like any other, one line a component."""

from ganzoo import Component, hookimpl

POWERS_OF_TWO = (16, 32, 64, 128, 256)


@hookimpl
def ganzoo_generators() -> list[Component]:
    """Latents to images."""
    return [
        Component(
            "dcgan",
            "ganzoo_zoo.generators.dcgan:Generator",
            "transposed convolutions and batch norm",
            "Radford et al. 2016, arXiv:1511.06434",
            "written from the paper, §3",
            POWERS_OF_TWO,
        ),
        Component(
            "mlp",
            "ganzoo_zoo.generators.mlp:Generator",
            "fully connected, softplus and batch norm",
            "Salimans et al. 2016, arXiv:1606.03498",
            "written from the paper's MNIST experiment, §5.1",
        ),
        Component(
            "conv-small",
            "ganzoo_zoo.generators.conv_small:Generator",
            "three 5×5 transposed convolutions and batch norm",
            "Salimans et al. 2016, arXiv:1606.03498",
            "written from the paper's CIFAR-10 experiment, §5.2",
            (16, 24, 32, 40, 48, 64, 96, 128),
        ),
    ]


@hookimpl
def ganzoo_discriminators() -> list[Component]:
    """Images to features."""
    return [
        Component(
            "dcgan",
            "ganzoo_zoo.discriminators.dcgan:Discriminator",
            "strided convolutions, with a choice of norm",
            "Radford et al. 2016, arXiv:1511.06434",
            "written from the paper, §3",
            POWERS_OF_TWO,
        ),
        Component(
            "mlp",
            "ganzoo_zoo.discriminators.mlp:Discriminator",
            "fully connected, Gaussian noise, weight norm",
            "Salimans et al. 2016, arXiv:1606.03498",
            "written from the paper's MNIST experiment, §5.1",
        ),
        Component(
            "conv-small",
            "ganzoo_zoo.discriminators.conv_small:Discriminator",
            "nine convolutions, weight norm and dropout",
            "Salimans et al. 2016, arXiv:1606.03498",
            "written from the paper's CIFAR-10 experiment, §5.2",
        ),
        Component(
            "cnn-13",
            "ganzoo_zoo.discriminators.cnn13:Discriminator",
            "the classifier of semi-supervised benchmarks, as a trunk",
            "Laine and Aila 2017, arXiv:1610.02242, table 5",
        ),
    ]


@hookimpl
def ganzoo_losses() -> list[Component]:
    """Adversarial losses."""
    return [
        Component(
            "nonsaturating",
            "ganzoo_zoo.losses.gan:nonsaturating",
            "the original GAN's practical form",
            "Goodfellow et al. 2014, arXiv:1406.2661",
        ),
        Component(
            "hinge",
            "ganzoo_zoo.losses.gan:hinge",
            "a margin for the discriminator",
            "Lim and Ye 2017, arXiv:1705.02894; Miyato et al. 2018, arXiv:1802.05957",
        ),
        Component(
            "wasserstein",
            "ganzoo_zoo.losses.gan:wasserstein",
            "difference of means; wants a Lipschitz penalty",
            "Arjovsky et al. 2017, arXiv:1701.07875",
        ),
    ]


@hookimpl
def ganzoo_penalties() -> list[Component]:
    """Further terms: of the discriminator's smoothness, and of what it says of unlabelled images."""
    return [
        Component(
            "r1",
            "ganzoo_zoo.penalties.gradient:R1",
            "squared gradient at real images",
            "Mescheder et al. 2018, arXiv:1801.04406",
        ),
        Component(
            "gradient_penalty",
            "ganzoo_zoo.penalties.gradient:GradientPenalty",
            "gradient norm near 1 between real and fake images",
            "Gulrajani et al. 2017, arXiv:1704.00028",
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
        ),
        Component(
            "entropy",
            "ganzoo_zoo.penalties.classifier:Entropy",
            "unlabelled images are classified surely",
            "Grandvalet and Bengio 2004, NeurIPS",
        ),
        Component(
            "pull_away",
            "ganzoo_zoo.penalties.classifier:PullAway",
            "generated images have different features",
            "Zhao et al. 2017 (EBGAN), arXiv:1609.03126",
        ),
    ]


@hookimpl
def ganzoo_augments() -> list[Component]:
    """Differentiable changes of what the discriminator sees."""
    return [
        Component(
            "diffaugment",
            "ganzoo_zoo.augments.diffaugment:DiffAugment",
            "colour, translation and cutout",
            "Zhao et al. 2020, arXiv:2006.10738",
            "written from the paper, §4 and appendix",
        ),
    ]


@hookimpl
def ganzoo_ssl() -> list[Component]:
    """Semi-supervised strategies."""
    return [
        Component(
            "none", "ganzoo.strategy:Strategy", "no labels: a plain GAN", "Goodfellow et al. 2014, arXiv:1406.2661"
        ),
        Component("supervised", "ganzoo_zoo.ssl.supervised:Supervised", "the classifier alone, on the labelled images"),
        Component(
            "kplus1",
            "ganzoo_zoo.ssl.kplus1:KPlusOne",
            "the discriminator is a classifier of K classes and 'fake'",
            "Salimans et al. 2016, arXiv:1606.03498, §5",
        ),
        Component(
            "autoencoder",
            "ganzoo_zoo.ssl.autoencoder:Autoencoder",
            "K+1 whose features also reconstruct the image",
            "after Ranzato and Szummer 2008, ICML",
        ),
        Component(
            "mdgan",
            "ganzoo_zoo.ssl.mdgan:ModeRegularized",
            "K+1 with an encoder, whose decoder is the generator",
            "Che et al. 2017, arXiv:1612.02136",
        ),
        Component(
            "aae",
            "ganzoo_zoo.ssl.aae:AdversarialAutoencoder",
            "an autoencoder whose code is a class and a style",
            "Makhzani et al. 2016, arXiv:1511.05644, §5",
            caution="paper number not reproduced by third parties: 1.90 % on MNIST with 100 labels; public ports reach "
            "about 5 %",
        ),
        Component(
            "pseudolabel",
            "ganzoo_zoo.ssl.pseudolabel:PseudoLabel",
            "K+1 and the classifier's own guesses as labels",
            "Lee 2013, ICML workshop",
        ),
        Component(
            "fixmatch",
            "ganzoo_zoo.ssl.fixmatch:FixMatch",
            "K+1 and guesses from weakly changed images for strongly changed ones",
            "Sohn et al. 2020, arXiv:2001.07685",
        ),
        Component(
            "margingan",
            "ganzoo_zoo.ssl.margingan:MarginGAN",
            "a classifier beside the GAN, whose fakes lie near its boundary",
            "Dong and Lin 2019, NeurIPS",
            caution="paper number not reproduced by third parties: an independent rerun found the classifier without "
            "the GAN as good; the authors' code ends its pre-training by the test error",
        ),
        Component(
            "s3gan",
            "ganzoo_zoo.ssl.s3gan:CoTraining",
            "a conditional GAN from few labels: the discriminator guesses the others",
            "Lucic et al. 2019, arXiv:1903.02271",
        ),
    ]


@hookimpl
def ganzoo_datasets() -> list[Component]:
    """Data sets by name."""
    named = {
        "mnist": "MNIST",
        "fashion-mnist": "FashionMNIST",
        "kmnist": "KMNIST",
        "cifar10": "CIFAR10",
        "cifar100": "CIFAR100",
        "svhn": "SVHN",
        "stl10": "STL10",
    }
    return [
        Component(
            "digits",
            "ganzoo_zoo.datasets.digits:digits",
            "1,797 handwritten digits, 8×8 grey, in the package",
            "Alpaydin and Kaynak 1998, UCI, doi:10.24432/C50P49",
            "CC BY 4.0; see ATTRIBUTION beside the file",
        ),
        *(
            Component(
                name,
                "ganzoo_zoo.datasets.torchvision:named",
                f"torchvision's {cls}, downloaded when first used",
                defaults={"name": cls},
                tags=("download",),
            )
            for name, cls in named.items()
        ),
    ]


@hookimpl
def ganzoo_presets() -> list[Component]:
    """Recipes."""
    return [
        Component(
            "default",
            "ganzoo_zoo.presets.digits:DEFAULT",
            "what `ganzoo train` does: digits from 100 labels, minutes on a laptop",
        ),
        Component(
            "improved-gan-mnist",
            "ganzoo_zoo.presets.semi_supervised:IMPROVED_GAN_MNIST",
            "K+1 and feature matching alone, 100 labels; the paper has 0.93 ± 0.065 % test error",
            "Salimans et al. 2016, arXiv:1606.03498, table 1",
        ),
        Component(
            "improved-gan-cifar10",
            "ganzoo_zoo.presets.semi_supervised:IMPROVED_GAN_CIFAR10",
            "K+1 and feature matching alone, 4000 labels; the paper has 18.63 ± 2.32 % test error",
            "Salimans et al. 2016, arXiv:1606.03498, table 2",
        ),
        Component(
            "autoencoder-mnist",
            "ganzoo_zoo.presets.semi_supervised:AUTOENCODER_MNIST",
            "improved-gan-mnist with a decoder on its features; no published number",
            "after Ranzato and Szummer 2008, ICML",
        ),
        Component(
            "pseudolabel-mnist",
            "ganzoo_zoo.presets.semi_supervised:PSEUDOLABEL_MNIST",
            "pseudo-labels of one hidden layer, 100 labels, no GAN; the paper has 16.15 % test error",
            "Lee 2013, ICML workshop",
            "noise and weight norm where the paper has dropout; Adam where it has momentum",
        ),
        Component(
            "fixmatch-mnist",
            "ganzoo_zoo.presets.semi_supervised:FIXMATCH_MNIST",
            "FixMatch of a small CNN-13, 100 labels, no GAN; no published number",
            "Sohn et al. 2020, arXiv:2001.07685",
        ),
    ]
