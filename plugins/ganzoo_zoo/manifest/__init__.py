"""Descriptions of the built-in components. Importing them imports no component."""
