"""A comparison of two runs for people: as lines of text, and as one HTML page.

What differs and why is decided in `replayer.alignment`; nothing here compares.
"""

from __future__ import annotations

from tui.diff.lines import diff_lines
from tui.diff.output import write_lines

__all__ = ["diff_lines", "write_lines"]
