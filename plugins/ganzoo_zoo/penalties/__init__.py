"""Penalties and regularisers."""
