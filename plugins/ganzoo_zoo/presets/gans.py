"""Published recipes of unconditional and class-conditional GANs, as data."""

from typing import Any

CIFAR10 = {"source": "cifar10", "size": 32}
ADAM = {"lr": 2e-4, "beta1": 0.0, "beta2": 0.9, "schedule": "linear"}

DCGAN_64: dict[str, Any] = {
    "generator": {"name": "dcgan"},
    "discriminator": {"name": "dcgan"},
    "loss": {"name": "nonsaturating"},
    "ssl": {"name": "none"},
    "data": {"source": "digits", "size": 64},
    "steps": 100_000,
    "batch": 128,
    "optimizer": {"lr": 2e-4, "beta1": 0.5},
}

SNGAN_CIFAR10: dict[str, Any] = {
    "generator": {"name": "sngan"},
    "discriminator": {"name": "sngan"},
    "loss": {"name": "hinge"},
    "ssl": {"name": "none"},
    "data": CIFAR10,
    "steps": 100_000,
    "batch": 64,
    "optimizer": ADAM,
    "players": {"discriminator": {"moves": 5}},
}

WGAN_GP_CIFAR10: dict[str, Any] = SNGAN_CIFAR10 | {
    "generator": {"name": "sngan", "width": 128},
    "discriminator": {"name": "sngan", "norm": "none", "pool": "mean"},
    "loss": {"name": "wasserstein"},
    "penalties": {"gradient_penalty": {"weight": 10.0}},
}

BIGGAN_CIFAR10: dict[str, Any] = {
    "generator": {"name": "biggan", "conditional": True},
    "discriminator": {"name": "biggan"},
    "loss": {"name": "hinge"},
    "ssl": {"name": "projection"},
    "data": CIFAR10 | {"labels": "all", "flip": True},
    "steps": 100_000,
    "batch": 64,
    "optimizer": {"lr": 2e-4, "beta1": 0.5},
    "players": {"discriminator": {"moves": 5}},
    "ema": 0.9999,  # corrected for its start, so that it need not wait for the first thousand steps
}

STYLEGAN2_ADA_CIFAR10: dict[str, Any] = {
    "generator": {"name": "stylegan2"},
    "discriminator": {"name": "stylegan2", "architecture": "orig", "group": 32},
    "loss": {"name": "nonsaturating"},
    "ssl": {"name": "none"},
    # The authors' lazy R1 is an optimizer step of its own, so they lower rate and betas; here it is part of the step.
    "penalties": {"r1": {"gamma": 0.01, "every": 16}},
    "augment": {"name": "ada"},
    "data": CIFAR10,
    "steps": 1_562_500,  # 100 million images
    "batch": 64,
    "optimizer": {"lr": 2.5e-3, "beta1": 0.0, "beta2": 0.99},
    "players": {"generator": {"lr": 2e-3, "beta2": 0.99**0.8}},  # as the authors', lowered although no penalty is on
    "ema": 0.5 ** (64 / 500_000),  # half of it from the last 500,000 images
}

SNGAN_MNIST: dict[str, Any] = SNGAN_CIFAR10 | {
    "generator": {"name": "sngan", "width": 32},
    "discriminator": {"name": "sngan", "width": 32},
    "data": {"source": "mnist", "size": 32},
    "steps": 1500,
    "players": {},
}
