"""Discriminator trunks."""
