"""A package, so that it is this one that `tests` means: some distributions leave one of that name in site-packages."""
