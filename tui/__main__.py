"""`python -m tui`: the same as `retrospan`."""

from tui.cli import script

script()
