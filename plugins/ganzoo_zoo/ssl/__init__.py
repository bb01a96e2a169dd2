"""Semi-supervised strategies."""
