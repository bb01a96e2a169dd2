"""R3GAN as a plugin of ganzoo."""

from ganzoo import Component, hookimpl

PAPER = "Huang et al. 2024, arXiv:2501.05441"
ORIGIN = "written from the paper; outputs, losses and gradients equal those of the authors' code at 19a7ddf"
POWERS_OF_TWO = (8, 16, 32, 64, 128, 256)


@hookimpl
def ganzoo_generators() -> list[Component]:
    """Describe the generator."""
    return [
        Component(
            "r3gan",
            "ganzoo_r3gan.generator:Generator",
            "residual blocks of grouped convolutions, without normalisation",
            PAPER,
            ORIGIN,
            POWERS_OF_TWO,
            rectangular="doubling",
        )
    ]


@hookimpl
def ganzoo_discriminators() -> list[Component]:
    """Describe the discriminator's trunk."""
    return [
        Component(
            "r3gan",
            "ganzoo_r3gan.discriminator:Discriminator",
            "residual blocks of grouped convolutions, without normalisation",
            PAPER,
            ORIGIN,
            POWERS_OF_TWO,
            rectangular="doubling",
        )
    ]


@hookimpl
def ganzoo_penalties() -> list[Component]:
    """Describe the penalty, R1 and R2 in one."""
    return [
        Component(
            "r3gan",
            "ganzoo_r3gan.penalty:ZeroCentred",
            "squared gradient norm at real and at generated images (R1 and R2), with a decaying weight",
            PAPER,
        )
    ]


@hookimpl
def ganzoo_presets() -> list[Component]:
    """Describe the paper's recipe."""
    return [
        Component(
            "r3gan-cifar10",
            "ganzoo_r3gan.presets:CIFAR10",
            "class-conditional, all labels; the paper has FID 1.96",
            f"{PAPER}, CIFAR-10",
            "networks, rates and schedules of the paper, without its augmentation; weights are averaged with one "
            "half-life, and initial class embeddings are larger than in the authors' code. Not yet trained to the end",
        )
    ]
