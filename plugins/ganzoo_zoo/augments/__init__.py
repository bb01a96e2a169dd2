"""Augmentations of the discriminator's input."""
