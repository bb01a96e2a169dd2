"""Published recipes of unconditional and class-conditional GANs."""

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
    "batch_size": 128,
    "optimizer": {"lr": 2e-4, "beta1": 0.5},
}

SNGAN_CIFAR10: dict[str, Any] = {
    "generator": {"name": "sngan"},
    "discriminator": {"name": "sngan"},
    "loss": {"name": "hinge"},
    "ssl": {"name": "none"},
    "data": CIFAR10,
    "steps": 100_000,
    "batch_size": 64,
    "optimizer": ADAM,
    "players": {"discriminator": {"updates_per_step": 5}},
}

WGAN_GP_CIFAR10: dict[str, Any] = SNGAN_CIFAR10 | {
    "generator": {"name": "sngan", "width": 128},
    "discriminator": {"name": "sngan", "norm": "none", "pool": "mean"},
    "loss": {"name": "wasserstein"},
    "penalties": {"gradient-penalty": {"weight": 10.0}},
}

BIGGAN_CIFAR10: dict[str, Any] = {
    "generator": {"name": "biggan", "conditional": True},
    "discriminator": {"name": "biggan"},
    "loss": {"name": "hinge"},
    "ssl": {"name": "projection"},
    "data": CIFAR10 | {"labels": "all", "flip": True},
    "steps": 100_000,
    "batch_size": 64,
    "optimizer": {"lr": 2e-4, "beta1": 0.5},
    "players": {"discriminator": {"updates_per_step": 5}},
    "ema": 0.9999,  # with bias correction, so there is no need to start it after the first thousand steps
}

# Fades are over after 2.4 of 20 million images: three stages, each 400,000 images at one size, then as many faded in.
PROGAN_CIFAR10: dict[str, Any] = {
    "generator": {"name": "progan", "width": 128, "z_dim": 128, "base": 8192, "grow": 0.12},
    "discriminator": {"name": "progan", "width": 128, "base": 8192, "grow": 0.12, "group": 16},
    "loss": {"name": "wasserstein"},
    "ssl": {"name": "none"},
    "penalties": {"gradient-penalty": {"weight": 10.0}},
    "data": CIFAR10,
    "steps": 1_250_000,
    "batch_size": 16,
    "optimizer": {"lr": 1e-3, "beta1": 0.0, "beta2": 0.99, "eps": 1e-8},
    "ema": 0.999,
}

STYLEGAN2_ADA_CIFAR10: dict[str, Any] = {
    "generator": {"name": "stylegan2"},
    "discriminator": {"name": "stylegan2", "architecture": "orig", "group": 32},
    "loss": {"name": "nonsaturating"},
    "ssl": {"name": "none"},
    # The authors take lazy R1 in separate optimizer steps and lower rate and betas; here it is part of the step.
    "penalties": {"r1": {"gamma": 0.01, "every": 16}},
    "augment": {"name": "ada"},
    "data": CIFAR10,
    "steps": 1_562_500,  # 100 million images
    "batch_size": 64,
    "optimizer": {"lr": 2.5e-3, "beta1": 0.0, "beta2": 0.99},
    "players": {
        "generator": {"lr": 2e-3, "beta2": 0.99**0.8}
    },  # lowered as in the authors' code, although path length regularisation is off
    "ema": 0.5 ** (64 / 500_000),  # a half-life of 500,000 images
}

SNGAN_MNIST: dict[str, Any] = SNGAN_CIFAR10 | {
    "generator": {"name": "sngan", "width": 32},
    "discriminator": {"name": "sngan", "width": 32},
    "data": {"source": "mnist", "size": 32},
    "steps": 1500,
    "players": {},
}
