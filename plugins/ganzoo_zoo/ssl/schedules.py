"""Schedules of term weights."""


def linear_ramp(progress: float, start: float, end: float) -> float:
    """Return a linear increase from 0 at `start` to 1 at `end`.

    Args:
        progress: Fraction of the run that is done, in [0, 1].
        start: Fraction at which the increase starts; the value is 0 before.
        end: Fraction at which the value reaches 1; it is 1 afterwards.
    """
    if progress >= end or progress <= start:
        return float(progress >= end)
    return (progress - start) / (end - start)
