"""What can go wrong in this room, as exceptions that a command can print as one line.

```
AnalyticsError
├── WarehouseError        the file cannot be used
│   └── WarehouseBusy     another process has it; waiting or the spool helps
├── PriceFileRefused      the user's price file is none; calls would be priced wrongly
├── ArchiveError          a raw history is missing or damaged
├── SpoolError            a spooled batch cannot be read
├── WorkerDied            a process that read files for an import ended early
├── LakeError             a lake cannot be written or read
├── RunNotFound           no run in the warehouse answers to that name
└── QueryError            somebody's SQL
    ├── QueryRefused      not allowed, or not SQL
    │   └── QueryTooLarge it needs more memory than it may use
    └── QueryTimeout      stopped after its time was up
```
"""

from __future__ import annotations

__all__ = [
    "AnalyticsError",
    "ArchiveError",
    "LakeError",
    "PriceFileRefused",
    "QueryError",
    "QueryRefused",
    "QueryTimeout",
    "QueryTooLarge",
    "RunNotFound",
    "SpoolError",
    "WarehouseBusy",
    "WarehouseError",
    "WorkerDied",
]


class AnalyticsError(Exception):
    """Base of all errors of this room; its text is one line for people."""


class WarehouseError(AnalyticsError):
    """The warehouse file cannot be used."""


class WarehouseBusy(WarehouseError):
    """Another process, or another part of this one, has the warehouse open."""


class PriceFileRefused(AnalyticsError):
    """The price file of the user cannot be used, and nothing is priced without it."""


class ArchiveError(AnalyticsError):
    """A raw history is not in the archive, or is not what its name says."""


class SpoolError(AnalyticsError):
    """A batch in the spool folder cannot be read."""


class WorkerDied(AnalyticsError):
    """A process that read files for an import was killed, or could not go on."""


class LakeError(AnalyticsError):
    """A lake cannot be written or read, or its views cannot be run."""


class RunNotFound(AnalyticsError):
    """No run in the warehouse answers to that name."""


class QueryError(AnalyticsError):
    """A query that a person or a program wrote did not run."""


class QueryRefused(QueryError):
    """The query is not allowed, is not SQL, or asks for more than its limits."""


class QueryTooLarge(QueryRefused):
    """The query needs more memory than it may use."""


class QueryTimeout(QueryError):
    """The query was stopped because its time was up."""
