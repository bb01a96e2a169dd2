"""The configuration keys that name components: the one list of them, which imports nothing."""

COMPONENT_KEYS = {
    "generator": "generator",
    "discriminator": "discriminator",
    "loss": "loss",
    "ssl": "ssl",
    "augment": "augment",
    "best_metric": "metric",
    "extractor": "extractor",
}
"""The configuration keys that name one component each, and the kind of that component."""
MODEL_KEYS = ("generator", "discriminator", "ssl")
"""Those of them that a trained model consists of."""
