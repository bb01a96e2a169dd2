"""The plugin keeps its contracts."""

import pytest

from ganzoo.testing import check_component


@pytest.mark.parametrize("conditional", [False, True])
def test_networks(conditional: bool) -> None:
    """At a small width, with and without classes."""
    check_component("generator", "r3gan", width=16, conditional=conditional)
    check_component("discriminator", "r3gan", width=16, projection=conditional)


def test_penalty() -> None:
    """It trains."""
    check_component("penalty", "r3gan")
