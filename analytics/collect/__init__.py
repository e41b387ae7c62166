"""An OTLP receiver that writes to the warehouse: traces and metrics, over gRPC and HTTP.

It listens on loopback unless told otherwise and asks for no credentials: what it receives is
hostile until parsed, and nothing of it can crash the receiver or keep it from other senders.
"""

from analytics.collect.collector import Collector
from analytics.collect.intake import Counters, IntakeLimits

__all__ = ["Collector", "Counters", "IntakeLimits"]
