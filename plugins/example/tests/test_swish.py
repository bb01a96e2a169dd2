"""A plugin's whole test suite."""

from ganzoo.testing import check_component


def test_generator() -> None:
    """The generator keeps its contract."""
    check_component("generator", "swishgan")
