"""Numbers of images and of seeds: a count, or a range."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from click.testing import Result

Cli = Callable[..., Result]


@pytest.mark.parametrize("text", ["x", "0", "-3", "5-", "7-6", "1-2-3", ""])
@pytest.mark.parametrize("words", [("sample", "m", "-n"), ("study", "--ssl", "none", "--labels", "1", "--seeds")])
def test_what_is_no_range_is_refused(words: tuple[str, ...], text: str, cli: Cli) -> None:
    refused = cli(*words, text, "--out", "o")
    assert refused.exit_code == 2
    assert f"Invalid value for '{'-n' if '-n' in words else '--seeds'}" in refused.stderr
    assert f"give a number, as 64, or a range, as 64-127, not '{text}'" in refused.stderr


@pytest.mark.parametrize("command", ["sample", "evaluate", "project", "directions", "reconstruct"])
def test_seeds_have_63_bits(command: str, cli: Cli) -> None:
    for seed in (-1, 2**63):
        refused = cli(command, "m", "--seed", seed)
        assert refused.exit_code == 2
        assert f"{seed} is not in the range 0<=x<={2**63 - 1}" in refused.stderr
