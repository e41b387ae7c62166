"""Upper bounds of the buckets of histograms, our own and those of Temporal's core."""

from __future__ import annotations

from typing import Final

DURATION_BUCKETS: Final = (
    0.01, 0.05, 0.1, 0.5, 1, 5, 10, 30, 60, 300, 900, 3600, 14400, 43200, 86400, 604800,
)  # fmt: skip
"""Seconds, up to a week: a run that waits for a person takes days."""

GENAI_BUCKETS: Final = {
    "s": tuple(0.01 * 2**n for n in range(14)),
    "{token}": tuple(4**n for n in range(14)),
    "{USD}": (0.0001, 0.0005, 0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1, 5, 10, 50),
}
"""By unit. Those of seconds and tokens are the convention's."""
