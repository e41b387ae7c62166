"""Which way workflow code went: decisions captured as they are taken, without touching the code.

`BranchWatch` listens to the interpreter (`sys.monitoring`, PEP 669) while an activation runs, in
the sandbox and without it. It knows neither Temporal nor OpenTelemetry: whoever runs an activation
enters `watching`, and gets the decisions when it is over.

    watch = process_watch()
    watch.include(MyWorkflow)
    run = RunBranches()                     # one for each workflow instance
    with watch.watching(run, at=now) as found:
        instance.activate(activation)
    found.branches, found.loops, found.dropped

Nothing is captured from code outside the workflow's own package, from modules while they are
imported, and from conditions while the SDK polls them; `while True` and `for` are counted, and the
value of `a < b < c` decides nothing. Nothing is ever raised into workflow code.
"""

from tracer.branches._files import WorkflowFiles
from tracer.branches._recorder import RunBranches
from tracer.branches._source import read_source
from tracer.branches._watch import BranchWatch, process_watch
from tracer.branches.points import (
    ActivationBranches,
    Branch,
    BranchKind,
    BranchPoint,
    BranchSettings,
)

__all__ = [
    "ActivationBranches",
    "Branch",
    "BranchKind",
    "BranchPoint",
    "BranchSettings",
    "BranchWatch",
    "RunBranches",
    "WorkflowFiles",
    "process_watch",
    "read_source",
]
