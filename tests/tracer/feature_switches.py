"""What tests and the workflows in `feature_workflows` share, outside of any sandbox."""

BROKEN: dict[str, int] = {}
"""Workflow tasks that are still to fail, by workflow id."""
SEEN: list[tuple[str, str, int]] = []
"""Attempts that ran: run id, activity id, number."""
