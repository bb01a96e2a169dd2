"""`python -m ganzoo`, as torchrun starts it."""

from ganzoo.cli import main

main()
