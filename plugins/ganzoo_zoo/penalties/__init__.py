"""Penalties of the discriminator."""
