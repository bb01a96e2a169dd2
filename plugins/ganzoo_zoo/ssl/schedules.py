"""How weights of terms change over a run."""


def rise(progress: float, start: float, end: float) -> float:
    """Return 0 before `start`, 1 from `end` on, and a straight line between."""
    if progress >= end or progress <= start:
        return float(progress >= end)
    return (progress - start) / (end - start)
