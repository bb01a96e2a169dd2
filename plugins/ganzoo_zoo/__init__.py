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
            "sngan",
            "ganzoo_zoo.generators.sngan:Generator",
            "residual blocks, nearest-neighbour doubling, batch norm",
            "Miyato et al. 2018, arXiv:1802.05957",
            "written from the paper, appendix B.4; 64×64 is the authors' published channel table",
            (16, 32, 48, 64, 128),
        ),
        Component(
            "biggan",
            "ganzoo_zoo.generators.biggan:Generator",
            "residual blocks told chunks of the latent and the class, attention, spectral norm",
            "Brock et al. 2019, arXiv:1809.11096",
            "written from the paper, appendix B; 128×128 has as many parameters as Google's compare_gan",
            (16, 32, 64, 128),
        ),
        Component(
            "stylegan2",
            "ganzoo_zoo.generators.stylegan2:Generator",
            "a mapped latent modulates every convolution",
            "Karras et al. 2020, arXiv:1912.04958",
            "written from the papers; parameters counted layer by layer",
            (8, *POWERS_OF_TWO, 512, 1024),
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
            "sngan",
            "ganzoo_zoo.discriminators.sngan:Discriminator",
            "residual blocks with spectral norm; without it, and with mean pooling, WGAN-GP's critic",
            "Miyato et al. 2018, arXiv:1802.05957; Gulrajani et al. 2017, arXiv:1704.00028",
            "written from the papers; 64×64 is the authors' published channel table",
            (16, 32, 48, 64, 128),
        ),
        Component(
            "biggan",
            "ganzoo_zoo.discriminators.biggan:Discriminator",
            "residual blocks with spectral norm and attention",
            "Brock et al. 2019, arXiv:1809.11096",
            "written from the paper, appendix B; 128×128 has as many parameters as Google's compare_gan",
            (16, 32, 64, 128),
        ),
        Component(
            "stylegan2",
            "ganzoo_zoo.discriminators.stylegan2:Discriminator",
            "residual blocks, blurred strides, minibatch standard deviation",
            "Karras et al. 2020, arXiv:1912.04958",
            "written from the papers; parameters counted layer by layer",
            (8, *POWERS_OF_TWO, 512, 1024),
        ),
        Component(
            "timm",
            "ganzoo_zoo.discriminators.backbone:Discriminator",
            "any image model of timm, random or pretrained, frozen or tuned; projected features",
            "Wightman 2019, doi:10.5281/zenodo.4414861; Sauer et al. 2021 (Projected GAN), arXiv:2111.01007",
            "the models are timm's own",
            family="backbone",
        ),
        Component(
            "patch",
            "ganzoo_zoo.discriminators.patch:Discriminator",
            "the mean realness of patches",
            "Isola et al. 2017, arXiv:1611.07004",
            "written from the paper, §3.2.2",
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
            "minimax",
            "ganzoo_zoo.losses.gan:minimax",
            "the original GAN's game for one value; its generator learns little while it loses",
            "Goodfellow et al. 2014, arXiv:1406.2661",
        ),
        Component(
            "lsgan",
            "ganzoo_zoo.losses.gan:lsgan",
            "least squares",
            "Mao et al. 2017, arXiv:1611.04076",
        ),
        Component(
            "relativistic",
            "ganzoo_zoo.losses.gan:relativistic",
            "real and fake images in pairs; wants a gradient penalty",
            "Jolicoeur-Martineau 2019, arXiv:1807.00734; Huang et al. 2024, arXiv:2501.05441",
        ),
        Component(
            "relativistic-average",
            "ganzoo_zoo.losses.gan:relativistic_average",
            "each image against the mean of the other sort",
            "Jolicoeur-Martineau 2019, arXiv:1807.00734",
        ),
        Component(
            "energy",
            "ganzoo_zoo.losses.gan:energy",
            "a margin of energy",
            "Zhao et al. 2017 (EBGAN), arXiv:1609.03126",
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
            "r2",
            "ganzoo_zoo.penalties.gradient:R2",
            "squared gradient at generated images",
            "Mescheder et al. 2018, arXiv:1801.04406",
        ),
        Component(
            "dragan",
            "ganzoo_zoo.penalties.gradient:Dragan",
            "gradient norm near 1 around real images",
            "Kodali et al. 2017, arXiv:1705.07215",
        ),
        Component(
            "lecam",
            "ganzoo_zoo.penalties.realness:LeCam",
            "realness stays near its average; for few images",
            "Tseng et al. 2021, arXiv:2104.03310",
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
        Component(
            "ada",
            "ganzoo_zoo.augments.adaptive:ADA",
            "geometry and colour, as often as the discriminator overfits",
            "Karras et al. 2020, arXiv:2006.06676",
            "written from the paper, §3 and appendix B; resampled bilinearly",
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
        ),
    ]


@hookimpl
def ganzoo_ssl() -> list[Component]:
    """Semi-supervised strategies."""
    return [
        Component(
            "none", "ganzoo.strategy:Strategy", "no labels: a plain GAN", "Goodfellow et al. 2014, arXiv:1406.2661"
        ),
        Component(
            "projection",
            "ganzoo_zoo.ssl.conditional:ProjectionGAN",
            "a conditional GAN: each image is judged as one of its class",
            "Miyato and Koyama 2018, arXiv:1802.05637",
        ),
        Component(
            "acgan",
            "ganzoo_zoo.ssl.conditional:AuxiliaryClassifierGAN",
            "a conditional GAN: the discriminator also says the class",
            "Odena et al. 2017, arXiv:1610.09585",
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
        Component(
            "dcgan-64",
            "ganzoo_zoo.presets.gans:DCGAN_64",
            "DCGAN at 64×64, for a folder of images; no published score",
            "Radford et al. 2016, arXiv:1511.06434",
        ),
        Component(
            "sngan-cifar10",
            "ganzoo_zoo.presets.gans:SNGAN_CIFAR10",
            "residual SNGAN, unconditional; the paper has FID 21.7",
            "Miyato et al. 2018, arXiv:1802.05957, table 2",
        ),
        Component(
            "wgan-gp-cifar10",
            "ganzoo_zoo.presets.gans:WGAN_GP_CIFAR10",
            "residual WGAN-GP, unconditional; the paper has Inception score 7.86",
            "Gulrajani et al. 2017, arXiv:1704.00028, table 3",
            "the paper's generator sees batches twice as large",
        ),
        Component(
            "biggan-cifar10",
            "ganzoo_zoo.presets.gans:BIGGAN_CIFAR10",
            "small BigGAN, all labels; the paper has FID 14.73",
            "Brock et al. 2019, arXiv:1809.11096, appendix",
            "length of the run and mirrored images are a choice",
        ),
        Component(
            "stylegan2-ada-cifar10",
            "ganzoo_zoo.presets.gans:STYLEGAN2_ADA_CIFAR10",
            "StyleGAN2 with adaptive augmentation, unconditional; the paper has FID 2.92",
            "Karras et al. 2020, arXiv:2006.06676",
        ),
        Component(
            "sngan-mnist",
            "ganzoo_zoo.presets.gans:SNGAN_MNIST",
            "a narrow SNGAN of digits, minutes on two cores",
            "Miyato et al. 2018, arXiv:1802.05957",
        ),
    ]
