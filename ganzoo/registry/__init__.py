"""The registry of components, which plugins provide through entry points. It does not import torch.

To add a kind of component, begin with `hookspecs`.
"""

from ganzoo.registry.component import Component, ImageShape
from ganzoo.registry.discovery import Plugin, Registered, Registry, create, distributions, installed, singular
from ganzoo.registry.hookspecs import KINDS, hookimpl
from ganzoo.registry.options import Option, check_options, options_of

__all__ = [
    "KINDS", "Component", "ImageShape", "Option", "Plugin", "Registered", "Registry",
    "check_options", "create", "distributions", "hookimpl", "installed", "options_of", "singular",
]  # fmt: skip
