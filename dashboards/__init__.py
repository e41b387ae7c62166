"""Grafana dashboards as code.

What this room owns: queries over the metrics and spans that `tracer.names` lists, the dashboards
made of them, and the JSON that Grafana loads (`dashboards/json/`). It knows names only: it never
reads telemetry. The JSON in the package needs nothing but Grafana; only `dashboards.build`, which
writes it, needs grafana-foundation-sdk.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

__all__ = ["GENERATED", "JSON_FOLDER"]

GENERATED: Final = Path(__file__).parent
"""Where `json/` and `alerts/` are: all that `dashboards.build` writes."""

JSON_FOLDER: Final = GENERATED / "json"
"""The generated dashboards, one file each: point Grafana's provisioning at this folder."""
