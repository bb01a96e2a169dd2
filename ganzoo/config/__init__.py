"""What a run is, as data that imports no torch. A new configuration key is a field in `schema`.

The package itself imports nothing, so that loading a model need not import what parses configurations.
"""
