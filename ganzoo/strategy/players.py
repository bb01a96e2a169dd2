"""Players: which networks are updated by which terms, and the penalties that join these terms."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol, TypeAlias, cast

from torch import Tensor, nn

from ganzoo.errors import Incompatible
from ganzoo.strategy.step import Augment, Step

Terms: TypeAlias = dict[str, Tensor]
"""Named scalars whose sum a player minimises."""


@dataclass(frozen=True)
class Player:
    """Networks that are updated together, and the loss that they minimise.

    Attributes:
        name: Name of the player; logged terms are called `name/term`.
        networks: Names of the networks that it updates.
        terms: Maps a step to the named terms of the loss. If it returns none, the player is not updated in that step.
        after: Functions that are called with the player's networks after each update.
        real: The view of the unlabelled images that counts as real for this player; default: the strategy's first.
    """

    name: str
    networks: tuple[str, ...]
    terms: Callable[[Step], Terms]
    after: tuple[Callable[[Sequence[nn.Module]], None], ...] = ()
    real: str = ""


class Penalty(Protocol):
    """A further term of a player's loss.

    A penalty with a method `after(networks)` has it called after each update of the player, as weight clipping needs
    it; its `__call__` may then return None.

    Attributes:
        player: Name of the player whose loss it joins, mostly "discriminator".
        every: Number of steps between two evaluations of the penalty; its value is then multiplied by that number.
        per_sample: Whether it differentiates with respect to single images, which batch normalisation rules out.
    """

    player: str
    every: int
    per_sample: bool

    def __call__(self, s: Step) -> Tensor | None:
        """Return the penalty for this step, a scalar."""


def with_penalties(player: Player, penalties: Mapping[str, Penalty]) -> Player:
    """Return a player whose terms include its penalties.

    Args:
        player: Any player.
        penalties: Penalties by `plugin/name`; those of other players are ignored.
    """
    own = {n: p for n, p in penalties.items() if p.player == player.name}
    if not own:
        return player
    terms: Callable[[Step], Terms] = player.terms

    def terms_and_penalties(s: Step) -> Terms:
        total = terms(s)
        for name, penalty in own.items() if total else ():
            if s.iteration % penalty.every == 0:
                try:
                    value = penalty(s)
                except Incompatible as error:
                    raise Incompatible(f"penalty '{name}': {error}") from error
                if value is not None:
                    bare = name.rpartition("/")[2]
                    total = total | {name if bare in total else bare: penalty.every * value}
        return total

    after = tuple(cast(Any, p).after for p in own.values() if hasattr(p, "after"))
    return replace(player, terms=terms_and_penalties, after=player.after + after)


def with_adaptation(player: Player, augment: Augment | None) -> Player:
    """Return a player that calls the augmentation's `adapt` after its terms, if it is the discriminator.

    Args:
        player: Any player.
        augment: The augmentation of the run; nothing changes if it has no method `adapt`.
    """
    if player.name != "discriminator" or not hasattr(augment, "adapt"):
        return player
    terms: Callable[[Step], Terms] = player.terms

    def terms_then_adapt(s: Step) -> Terms:
        total = terms(s)
        cast(Any, s.augment).adapt(s)
        return total

    return replace(player, terms=terms_then_adapt)
