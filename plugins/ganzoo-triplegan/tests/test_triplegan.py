"""The plugin keeps the contract of a strategy."""

from ganzoo.testing import check_component


def test_strategy() -> None:
    """With and without the GAN."""
    check_component("ssl", "triplegan")
    check_component("ssl", "triplegan", gan=False)
