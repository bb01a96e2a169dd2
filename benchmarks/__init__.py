"""Measurements, each a script that writes JSON with machine, versions and commit."""
