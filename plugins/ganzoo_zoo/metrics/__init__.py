"""Metrics of generated images and of classifiers."""
