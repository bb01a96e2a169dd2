"""Curves: as pictures (`figures`), or as geometry that the page of a report draws (`charts`). New figures go here."""
