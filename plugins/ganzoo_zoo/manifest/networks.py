"""Generators and discriminators."""

from ganzoo import Component

POWERS_OF_TWO = (16, 32, 64, 128, 256)


GENERATORS = [
    Component(
        "dcgan",
        "ganzoo_zoo.generators.dcgan:Generator",
        "4×4 transposed convolutions with batch norm",
        "Radford et al. 2016, arXiv:1511.06434",
        "written from the paper, §3; outputs equal those of pytorch/examples at 77f55b9",
        POWERS_OF_TWO,
        rectangular="doubling",
    ),
    Component(
        "sngan",
        "ganzoo_zoo.generators.sngan:Generator",
        "residual blocks with nearest-neighbour upsampling and batch norm",
        "Miyato et al. 2018, arXiv:1802.05957",
        "written from the paper, appendix B.4; outputs equal those of torch-mimicry 0.1.16 with the same upsampling",
        (16, 32, 48, 64, 128),
        rectangular="doubling",
    ),
    Component(
        "biggan",
        "ganzoo_zoo.generators.biggan:Generator",
        "residual blocks conditioned on latent chunks and class, self-attention, spectral norm",
        "Brock et al. 2019, arXiv:1809.11096",
        "written from the paper, appendix B; outputs equal those of BigGAN-PyTorch at 9845943, parameter counts those "
        "of compare_gan",
        (16, 32, 64, 128),
        rectangular="doubling",
    ),
    Component(
        "progan",
        "ganzoo_zoo.generators.progan:Generator",
        "progressive growing from 4×4; pixel norm, equalised learning rate",
        "Karras et al. 2018, arXiv:1710.10196",
        "written from the paper, §2, §4 and table 2; parameters as of table 2",
        (8, *POWERS_OF_TWO, 512, 1024),
        rectangular="doubling",
    ),
    Component(
        "stylegan2",
        "ganzoo_zoo.generators.stylegan2:Generator",
        "mapping network, and convolutions modulated by its output",
        "Karras et al. 2020, arXiv:1912.04958",
        "written from the papers; outputs equal those of rosinality/stylegan2-pytorch at bef283a",
        (8, *POWERS_OF_TWO, 512, 1024),
        rectangular="doubling",
    ),
    Component(
        "mlp",
        "ganzoo_zoo.generators.mlp:Generator",
        "fully connected network with softplus and batch norm",
        "Salimans et al. 2016, arXiv:1606.03498",
        "written from the paper, §5.1; outputs and losses equal those of the authors' code at 4f5d1ec",
        rectangular="any",
    ),
    Component(
        "conv-small",
        "ganzoo_zoo.generators.conv_small:Generator",
        "three 5×5 transposed convolutions with batch norm",
        "Salimans et al. 2016, arXiv:1606.03498",
        "written from the paper, §5.2; outputs and losses equal those of the authors' code at 4f5d1ec",
        (16, 24, 32, 40, 48, 64, 96, 128),
    ),
]
"""Networks that map latents to images."""


DISCRIMINATORS = [
    Component(
        "dcgan",
        "ganzoo_zoo.discriminators.dcgan:Discriminator",
        "4×4 strided convolutions with batch, group, spectral or no norm",
        "Radford et al. 2016, arXiv:1511.06434",
        "written from the paper, §3; outputs equal those of pytorch/examples at 77f55b9",
        POWERS_OF_TWO,
        rectangular="doubling",
    ),
    Component(
        "sngan",
        "ganzoo_zoo.discriminators.sngan:Discriminator",
        "residual blocks with spectral norm; without norm and with mean pooling, WGAN-GP's critic",
        "Miyato et al. 2018, arXiv:1802.05957; Gulrajani et al. 2017, arXiv:1704.00028",
        "written from the papers; outputs equal those of torch-mimicry 0.1.16 and sngan_projection at e84b1a5",
        (16, 32, 48, 64, 128),
        rectangular="doubling",
    ),
    Component(
        "biggan",
        "ganzoo_zoo.discriminators.biggan:Discriminator",
        "residual blocks with spectral norm and self-attention",
        "Brock et al. 2019, arXiv:1809.11096",
        "written from the paper, appendix B; outputs equal those of BigGAN-PyTorch at 9845943, parameter counts those "
        "of compare_gan",
        (16, 32, 64, 128),
        rectangular="doubling",
    ),
    Component(
        "progan",
        "ganzoo_zoo.discriminators.progan:Discriminator",
        "progressive growing from 4×4; minibatch standard deviation, equalised learning rate",
        "Karras et al. 2018, arXiv:1710.10196",
        "written from the paper, §2 to §4 and table 2; parameters as of table 2",
        (8, *POWERS_OF_TWO, 512, 1024),
        rectangular="doubling",
    ),
    Component(
        "stylegan2",
        "ganzoo_zoo.discriminators.stylegan2:Discriminator",
        "residual blocks with low-pass filtered downsampling, minibatch standard deviation",
        "Karras et al. 2020, arXiv:1912.04958",
        "written from the papers; outputs equal those of rosinality/stylegan2-pytorch at bef283a",
        (8, *POWERS_OF_TWO, 512, 1024),
        rectangular="doubling",
    ),
    Component(
        "timm",
        "ganzoo_zoo.discriminators.backbone:Discriminator",
        "any timm image model, pretrained or not, frozen or fine-tuned; features of Projected GAN",
        "Wightman 2019, doi:10.5281/zenodo.4414861; Sauer et al. 2021 (Projected GAN), arXiv:2111.01007",
        "the models are those of timm",
        family="backbone",
        weight_options=("pretrained",),
        rectangular="any",
    ),
    Component(
        "patch",
        "ganzoo_zoo.discriminators.patch:Discriminator",
        "PatchGAN: the mean logit over patches of the image",
        "Isola et al. 2017, arXiv:1611.07004",
        "written from the paper, §3.2.2; outputs equal those of taming-transformers 0.0.1",
        rectangular="any",
    ),
    Component(
        "mlp",
        "ganzoo_zoo.discriminators.mlp:Discriminator",
        "fully connected network with Gaussian noise and weight norm",
        "Salimans et al. 2016, arXiv:1606.03498",
        "written from the paper, §5.1; outputs and losses equal those of the authors' code at 4f5d1ec",
        rectangular="any",
    ),
    Component(
        "conv-small",
        "ganzoo_zoo.discriminators.conv_small:Discriminator",
        "nine convolutions with weight norm and dropout",
        "Salimans et al. 2016, arXiv:1606.03498",
        "written from the paper, §5.2; outputs and losses equal those of the authors' code at 4f5d1ec",
        rectangular="any",
    ),
    Component(
        "cnn-13",
        "ganzoo_zoo.discriminators.cnn13:Discriminator",
        "the 13-layer CNN of semi-supervised learning benchmarks",
        "Laine and Aila 2017, arXiv:1610.02242, table 5",
        "written from the paper; outputs equal those of ICT at 7be7264",
        rectangular="any",
    ),
]
"""Networks that map images to features."""
