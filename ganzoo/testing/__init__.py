"""Tests of components against their contracts, for the tests of plugins and for `ganzoo plugins --check`.

    from ganzoo.testing import check_component

    def test_my_generator():
        check_component("generator", "swishgan")

A component is trained together with tiny components of the other kinds, through the same code as any run.
"""

from ganzoo.testing.checks import check_component
from ganzoo.testing.tiny import registry_with

__all__ = ["check_component", "registry_with"]
