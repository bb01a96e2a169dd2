"""Semi-supervised recipes, published and our own. Epochs of the papers are converted to steps of their batch size."""

from typing import Any

MNIST = {"source": "mnist", "size": 28, "labels": 100}
CIFAR10 = {"source": "cifar10", "size": 32, "labels": 4000}

IMPROVED_GAN_MNIST: dict[str, Any] = {
    "generator": {"name": "mlp"},
    "discriminator": {"name": "mlp"},
    "loss": {"name": "nonsaturating"},
    "ssl": {"name": "kplus1", "adversarial_weight": 0.0},
    "data": MNIST,
    "steps": 180_000,  # 300 epochs
    "batch_size": 100,
    # The authors' Adam has an epsilon of 1e-8 inside the square root.
    "optimizer": {"lr": 3e-3, "beta1": 0.5, "eps": 1e-4},
    "ema": 0.9999,
}

IMPROVED_GAN_CIFAR10: dict[str, Any] = {
    "generator": {"name": "conv-small"},
    "discriminator": {"name": "conv-small"},
    "loss": {"name": "nonsaturating"},
    "ssl": {"name": "kplus1", "adversarial_weight": 0.0, "distance": "l1"},
    "data": CIFAR10,
    "steps": 600_000,  # 1200 epochs, the rate falling over the last 400
    "batch_size": 100,
    "optimizer": {"lr": 3e-4, "beta1": 0.5, "eps": 1e-4, "schedule": "linear", "decay_start": 2 / 3},
    "ema": 0.9999,
}

AUTOENCODER_MNIST: dict[str, Any] = IMPROVED_GAN_MNIST | {
    "ssl": {"name": "autoencoder", "adversarial_weight": 0.0, "reconstruction_weight": 0.1},
}

PSEUDOLABEL_MNIST: dict[str, Any] = {
    "discriminator": {"name": "mlp", "hidden": [5000], "input_noise": 0.2},
    "ssl": {"name": "pseudolabel", "gan": False, "start": 0.1, "end": 0.6},
    "data": MNIST,
    "steps": 50_000,
    "batch_size": 256,
    "labelled_batch_size": 32,
    "optimizer": {"lr": 1e-3, "beta1": 0.5, "eps": 1e-4, "schedule": "linear"},
}

FIXMATCH_MNIST: dict[str, Any] = {
    "discriminator": {"name": "cnn-13", "width": 32, "dropout": 0.25},
    "ssl": {"name": "fixmatch", "gan": False},
    "data": MNIST | {"shift": 2, "strength": 0.5},
    "steps": 10_000,
    "batch_size": 448,
    "labelled_batch_size": 64,
    "optimizer": {"lr": 1e-3, "beta1": 0.9, "weight_decay": 5e-4, "schedule": "cosine"},
    "ema": 0.999,
}

BEST_MNIST_100: dict[str, Any] = IMPROVED_GAN_MNIST | {
    "ssl": {
        "name": "noisy-student",
        "of": "fixmatch",
        "options": {"adversarial_weight": 0.0},
        "start": 0.4,
        "answer": 0.1,
    },
    "data": MNIST | {"strength": 0.5, "zoom": 0.2, "elastic": 0.06},
    "steps": 20_000,
    # The teacher's rate decays to 0 until the student starts; the student's decays after a fifth of its own steps.
    "optimizer": IMPROVED_GAN_MNIST["optimizer"] | {"schedule": "linear", "decay_start": 0.2, "decay_end": 0.4},
    "players": {
        "student": {"lr": 2e-3, "beta1": 0.9, "eps": 1e-8, "weight_decay": 5e-4, "decay_start": 0.52, "decay_end": 1.0},
    },
    "ema": 0.999,
}

BEST_MNIST_20: dict[str, Any] = BEST_MNIST_100 | {
    "ssl": BEST_MNIST_100["ssl"] | {"options": {"adversarial_weight": 0.0, "align": True}},
    "data": BEST_MNIST_100["data"] | {"labels": 20},
}

FAST_MNIST_100: dict[str, Any] = BEST_MNIST_100 | {"steps": 10_000}

# The same pair for photographs, which may be mirrored, with a third of the steps of the teacher's paper.
BEST_CIFAR10_4000: dict[str, Any] = IMPROVED_GAN_CIFAR10 | {
    "ssl": BEST_MNIST_100["ssl"] | {"options": {"adversarial_weight": 0.0, "distance": "l1"}, "width": 128},
    "data": CIFAR10 | {"flip": True, "shift": 4, "strength": 0.5},
    "steps": 200_000,
    "optimizer": IMPROVED_GAN_CIFAR10["optimizer"] | {"decay_start": 0.2, "decay_end": 0.4},
    "players": BEST_MNIST_100["players"],
}
