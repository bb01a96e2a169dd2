"""Generators: latents to images."""
