"""Generators and discriminators."""

from ganzoo import Component

POWERS_OF_TWO = (16, 32, 64, 128, 256)


GENERATORS = [
    Component(
        "dcgan",
        "ganzoo_zoo.generators.dcgan:Generator",
        "transposed convolutions and batch norm",
        "Radford et al. 2016, arXiv:1511.06434",
        "written from the paper, §3; outputs as of pytorch/examples at 77f55b9",
        POWERS_OF_TWO,
    ),
    Component(
        "sngan",
        "ganzoo_zoo.generators.sngan:Generator",
        "residual blocks, nearest-neighbour doubling, batch norm",
        "Miyato et al. 2018, arXiv:1802.05957",
        "written from the paper, appendix B.4; outputs as of torch-mimicry 0.1.16, there upsampled like here",
        (16, 32, 48, 64, 128),
    ),
    Component(
        "biggan",
        "ganzoo_zoo.generators.biggan:Generator",
        "residual blocks told chunks of the latent and the class, attention, spectral norm",
        "Brock et al. 2019, arXiv:1809.11096",
        "written from the paper, appendix B; outputs as of BigGAN-PyTorch at 9845943, parameters as of compare_gan",
        (16, 32, 64, 128),
    ),
    Component(
        "stylegan2",
        "ganzoo_zoo.generators.stylegan2:Generator",
        "a mapped latent modulates every convolution",
        "Karras et al. 2020, arXiv:1912.04958",
        "written from the papers; outputs as of rosinality/stylegan2-pytorch at bef283a",
        (8, *POWERS_OF_TWO, 512, 1024),
    ),
    Component(
        "mlp",
        "ganzoo_zoo.generators.mlp:Generator",
        "fully connected, softplus and batch norm",
        "Salimans et al. 2016, arXiv:1606.03498",
        "written from the paper, §5.1; outputs and losses as of the authors' code at 4f5d1ec",
    ),
    Component(
        "conv-small",
        "ganzoo_zoo.generators.conv_small:Generator",
        "three 5×5 transposed convolutions and batch norm",
        "Salimans et al. 2016, arXiv:1606.03498",
        "written from the paper, §5.2; outputs and losses as of the authors' code at 4f5d1ec",
        (16, 24, 32, 40, 48, 64, 96, 128),
    ),
]
"""Latents to images."""


DISCRIMINATORS = [
    Component(
        "dcgan",
        "ganzoo_zoo.discriminators.dcgan:Discriminator",
        "strided convolutions, with a choice of norm",
        "Radford et al. 2016, arXiv:1511.06434",
        "written from the paper, §3; outputs as of pytorch/examples at 77f55b9",
        POWERS_OF_TWO,
    ),
    Component(
        "sngan",
        "ganzoo_zoo.discriminators.sngan:Discriminator",
        "residual blocks with spectral norm; without it, and with mean pooling, WGAN-GP's critic",
        "Miyato et al. 2018, arXiv:1802.05957; Gulrajani et al. 2017, arXiv:1704.00028",
        "written from the papers; outputs as of torch-mimicry 0.1.16 and sngan_projection at e84b1a5",
        (16, 32, 48, 64, 128),
    ),
    Component(
        "biggan",
        "ganzoo_zoo.discriminators.biggan:Discriminator",
        "residual blocks with spectral norm and attention",
        "Brock et al. 2019, arXiv:1809.11096",
        "written from the paper, appendix B; outputs as of BigGAN-PyTorch at 9845943, parameters as of compare_gan",
        (16, 32, 64, 128),
    ),
    Component(
        "stylegan2",
        "ganzoo_zoo.discriminators.stylegan2:Discriminator",
        "residual blocks, blurred strides, minibatch standard deviation",
        "Karras et al. 2020, arXiv:1912.04958",
        "written from the papers; outputs as of rosinality/stylegan2-pytorch at bef283a",
        (8, *POWERS_OF_TWO, 512, 1024),
    ),
    Component(
        "timm",
        "ganzoo_zoo.discriminators.backbone:Discriminator",
        "any image model of timm, random or pretrained, frozen or tuned; projected features",
        "Wightman 2019, doi:10.5281/zenodo.4414861; Sauer et al. 2021 (Projected GAN), arXiv:2111.01007",
        "the models are timm's own",
        family="backbone",
        start=("pretrained",),
    ),
    Component(
        "patch",
        "ganzoo_zoo.discriminators.patch:Discriminator",
        "the mean realness of patches",
        "Isola et al. 2017, arXiv:1611.07004",
        "written from the paper, §3.2.2; outputs as of taming-transformers 0.0.1",
    ),
    Component(
        "mlp",
        "ganzoo_zoo.discriminators.mlp:Discriminator",
        "fully connected, Gaussian noise, weight norm",
        "Salimans et al. 2016, arXiv:1606.03498",
        "written from the paper, §5.1; outputs and losses as of the authors' code at 4f5d1ec",
    ),
    Component(
        "conv-small",
        "ganzoo_zoo.discriminators.conv_small:Discriminator",
        "nine convolutions, weight norm and dropout",
        "Salimans et al. 2016, arXiv:1606.03498",
        "written from the paper, §5.2; outputs and losses as of the authors' code at 4f5d1ec",
    ),
    Component(
        "cnn-13",
        "ganzoo_zoo.discriminators.cnn13:Discriminator",
        "the classifier of semi-supervised benchmarks, as a trunk",
        "Laine and Aila 2017, arXiv:1610.02242, table 5",
        "written from the paper; outputs as of ICT at 7be7264",
    ),
]
"""Images to features."""
