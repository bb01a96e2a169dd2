"""Discriminator trunks: images to features."""
