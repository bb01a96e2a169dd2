"""What the tests of models on the Hub share."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import torch
from click.testing import Result

from ganzoo import GAN
from ganzoo.model.hub import contents
from tests.hub import Hub

Cli = Callable[..., Result]

ALWAYS = float("inf")

ROOT = Path(__file__).parents[3]

NETWORKS = {"generator.safetensors", "discriminator.safetensors"}

X = torch.rand(3, 1, 16, 16, generator=torch.Generator().manual_seed(0)) * 2 - 1


def put(hub: Hub, run: Path, name: str = "bob/gan") -> str:
    """Put a run's model on the Hub without a request, and return the commit."""
    files = {n: c if isinstance(c, bytes) else Path(c).read_bytes() for n, c in contents(run / "model", name).items()}
    hub.add(name, files)
    return hub.repos[name].branches["main"]


def same(one: GAN, other: GAN) -> bool:
    """Whether two models make the same images of a seed, and say the same of images, bit by bit."""
    pairs = [(one.sample(5, seed=3), other.sample(5, seed=3)), (one.classify(X), other.classify(X))]
    return all(torch.equal(a, b) for a, b in [*pairs, (one.score(X), other.score(X))])


def good(result: Result) -> str:
    assert result.exit_code == 0, result.output
    return result.stdout


def check_refused(result: Result, words: str) -> None:
    """The command ended with one sentence that has these words."""
    assert result.exit_code == 1, (result.output, result.exception)
    assert result.stderr.startswith("error: "), result.stderr
    assert result.stderr.count("\n") == 1, result.stderr
    assert words in result.stderr


def fetched(hub: Hub) -> set[str]:
    """Return the names of the files that were asked for."""
    return {path.split("/resolve/")[1].partition("/")[2] for _, path in hub.requests if "/resolve/" in path}


def private(hub: Hub) -> None:
    hub.repos["bob/gan"].private = True


def without(name: str) -> Callable[[Hub], None]:
    return lambda hub: (hub.repos["bob/gan"].commit({name: None}), None)[1]
