"""Presets: recipes as data."""
