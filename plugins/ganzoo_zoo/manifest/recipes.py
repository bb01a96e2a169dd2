"""Strategies, data sets and presets."""

from ganzoo import Component

SSL = [
    Component(
        "none", "ganzoo.strategy:Strategy", "plain GAN, without labels", "Goodfellow et al. 2014, arXiv:1406.2661"
    ),
    Component(
        "projection",
        "ganzoo_zoo.ssl.conditional:ProjectionGAN",
        "class-conditional GAN with a projection discriminator",
        "Miyato and Koyama 2018, arXiv:1802.05637",
    ),
    Component(
        "acgan",
        "ganzoo_zoo.ssl.conditional:AuxiliaryClassifierGAN",
        "class-conditional GAN whose discriminator also classifies (AC-GAN)",
        "Odena et al. 2017, arXiv:1610.09585",
    ),
    Component(
        "supervised", "ganzoo_zoo.ssl.supervised:Supervised", "supervised baseline: a classifier on the labelled images"
    ),
    Component(
        "kplus1",
        "ganzoo_zoo.ssl.kplus1:KPlusOne",
        "semi-supervised GAN whose discriminator classifies into K classes and 'fake'",
        "Salimans et al. 2016, arXiv:1606.03498, §5",
    ),
    Component(
        "autoencoder",
        "ganzoo_zoo.ssl.autoencoder:Autoencoder",
        "K+1 with a decoder that reconstructs images from the features",
        "after Ranzato and Szummer 2008, ICML",
    ),
    Component(
        "mdgan",
        "ganzoo_zoo.ssl.mdgan:ModeRegularized",
        "K+1 with an encoder that maps real images to the generator's latents",
        "Che et al. 2017, arXiv:1612.02136",
    ),
    Component(
        "aae",
        "ganzoo_zoo.ssl.aae:AdversarialAutoencoder",
        "adversarial autoencoder whose code consists of a class and a style",
        "Makhzani et al. 2016, arXiv:1511.05644, §5",
        caution="the paper's number, 1.90 % on MNIST with 100 labels, is not reproduced by third parties; public ports "
        "reach about 5 %",
    ),
    Component(
        "pseudolabel",
        "ganzoo_zoo.ssl.pseudolabel:PseudoLabel",
        "K+1 with pseudo-labels: predictions of the classifier as labels",
        "Lee 2013, ICML workshop",
    ),
    Component(
        "fixmatch",
        "ganzoo_zoo.ssl.fixmatch:FixMatch",
        "K+1 with pseudo-labels of weakly augmented images for strongly augmented ones",
        "Sohn et al. 2020, arXiv:2001.07685",
    ),
    Component(
        "noisy-student",
        "ganzoo_zoo.ssl.noisystudent:NoisyStudent",
        "any strategy with a classifier as the teacher of a CNN-13 on strongly augmented images",
        "after Xie et al. 2020, arXiv:1911.04252",
    ),
    Component(
        "margingan",
        "ganzoo_zoo.ssl.margingan:MarginGAN",
        "GAN and classifier, with generated images near the decision boundary",
        "Dong and Lin 2019, NeurIPS",
        caution="the paper's number is not reproduced by third parties: in an independent rerun the classifier "
        "without the GAN was as good; the authors' code uses the test error to end the pre-training",
    ),
    Component(
        "s3gan",
        "ganzoo_zoo.ssl.s3gan:CoTraining",
        "class-conditional GAN from few labels, by co-training of the discriminator",
        "Lucic et al. 2019, arXiv:1903.02271",
    ),
]
"""Training strategies."""


TORCHVISION = {
    "mnist": "MNIST",
    "fashion-mnist": "FashionMNIST",
    "kmnist": "KMNIST",
    "cifar10": "CIFAR10",
    "cifar100": "CIFAR100",
    "svhn": "SVHN",
    "stl10": "STL10",
}


DATASETS = [
    Component(
        "digits",
        "ganzoo_zoo.datasets.digits:digits",
        "1,797 handwritten digits, 8×8 grey, included in the package",
        "Alpaydin and Kaynak 1998, UCI, doi:10.24432/C50P49",
        "CC BY 4.0; see ATTRIBUTION.md in the folder of the file",
    ),
    *(
        Component(
            name,
            "ganzoo_zoo.datasets.torchvision:named",
            f"torchvision's {cls}, downloaded on first use",
            defaults={"name": cls},
            tags=("download",),
        )
        for name, cls in TORCHVISION.items()
    ),
]
"""Named data sets."""


LARGER_BATCHES = (
    "the authors' generator uses batches twice as large; published scores are of raw weights, ours of averaged ones"
)

PRESETS = [
    Component(
        "default",
        "ganzoo_zoo.presets.digits:DEFAULT",
        "starting point of every run: DCGAN with its own defaults, K+1",
    ),
    Component(
        "digits",
        "ganzoo_zoo.presets.digits:DIGITS",
        "preset of `ganzoo train` without arguments: digits with 100 labels, minutes on a laptop",
    ),
    Component(
        "improved-gan-mnist",
        "ganzoo_zoo.presets.semi_supervised:IMPROVED_GAN_MNIST",
        "K+1 and feature matching alone, 100 labels; the paper has 0.93 ± 0.065 % test error; "
        "here 0.95 ± 0.05 % (3 runs)",
        "Salimans et al. 2016, arXiv:1606.03498, table 1",
        "the authors' settings, except that initial outputs of the last layer are ten times smaller, as in their code "
        "for CIFAR-10",
    ),
    Component(
        "best-mnist-100",
        "ganzoo_zoo.presets.semi_supervised:BEST_MNIST_100",
        "fully connected teacher with K+1 and FixMatch, convolutional student; 100 labels; here 0.66 ± 0.04 % (5 runs)",
        "after Sohn et al. 2020, arXiv:2001.07685, and Xie et al. 2020, arXiv:1911.04252",
    ),
    Component(
        "best-mnist-20",
        "ganzoo_zoo.presets.semi_supervised:BEST_MNIST_20",
        "best-mnist-100 with two labels per digit and distribution alignment; here 0.78 ± 0.18 % (4 runs)",
        "after Sohn et al. 2020, arXiv:2001.07685, and Berthelot et al. 2020, arXiv:1911.09785",
    ),
    Component(
        "fast-mnist-100",
        "ganzoo_zoo.presets.semi_supervised:FAST_MNIST_100",
        "best-mnist-100 in half the steps, minutes on a laptop; here 0.92 ± 0.01 % (3 runs)",
        "after Sohn et al. 2020, arXiv:2001.07685, and Xie et al. 2020, arXiv:1911.04252",
    ),
    Component(
        "best-cifar10-4000",
        "ganzoo_zoo.presets.semi_supervised:BEST_CIFAR10_4000",
        "best-mnist-100's strategies for CIFAR-10 and 4000 labels, in 200,000 steps; here not yet run",
        "after Sohn et al. 2020, arXiv:2001.07685, and Xie et al. 2020, arXiv:1911.04252",
    ),
    Component(
        "improved-gan-cifar10",
        "ganzoo_zoo.presets.semi_supervised:IMPROVED_GAN_CIFAR10",
        "K+1 and feature matching alone, 4000 labels; the paper has 18.63 ± 2.32 % test error; here not yet run",
        "Salimans et al. 2016, arXiv:1606.03498, table 2",
    ),
    Component(
        "autoencoder-mnist",
        "ganzoo_zoo.presets.semi_supervised:AUTOENCODER_MNIST",
        "improved-gan-mnist with a decoder on its features; no published number; here not yet run",
        "after Ranzato and Szummer 2008, ICML",
    ),
    Component(
        "pseudolabel-mnist",
        "ganzoo_zoo.presets.semi_supervised:PSEUDOLABEL_MNIST",
        "pseudo-labels, one hidden layer, 100 labels, no GAN; the paper has 16.15 % test error; here not yet run",
        "Lee 2013, ICML workshop",
        "noise and weight norm instead of the paper's dropout; Adam instead of its momentum",
    ),
    Component(
        "fixmatch-mnist",
        "ganzoo_zoo.presets.semi_supervised:FIXMATCH_MNIST",
        "FixMatch with a small CNN-13, 100 labels, no GAN; no published number; here not yet run",
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
        "residual SNGAN, unconditional; the paper has FID 21.7 (of 5,000 images)",
        "Miyato et al. 2018, arXiv:1802.05957, table 2",
        LARGER_BATCHES,
    ),
    Component(
        "wgan-gp-cifar10",
        "ganzoo_zoo.presets.gans:WGAN_GP_CIFAR10",
        "residual WGAN-GP, unconditional; the paper has Inception score 7.86",
        "Gulrajani et al. 2017, arXiv:1704.00028, table 3",
        LARGER_BATCHES,
    ),
    Component(
        "biggan-cifar10",
        "ganzoo_zoo.presets.gans:BIGGAN_CIFAR10",
        "small BigGAN, all labels; the paper has FID 14.73",
        "Brock et al. 2019, arXiv:1809.11096, appendix",
        "rates, batch size and length of StudioGAN, which reproduced the score; the paper gives none for CIFAR-10",
    ),
    Component(
        "progan-cifar10",
        "ganzoo_zoo.presets.gans:PROGAN_CIFAR10",
        "progressive growing, unconditional; the paper has Inception score 8.80; here not yet run",
        "Karras et al. 2018, arXiv:1710.10196, table 3",
        "widths, lengths and group as in the authors' configuration; their penalty pulls the norm of the gradient to "
        "750, here to 1; they also keep outputs near 0, blend real images in a fade-in and restart Adam at each stage",
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
        "narrow SNGAN for MNIST, minutes on two cores",
        "Miyato et al. 2018, arXiv:1802.05957",
    ),
]
"""Presets."""
