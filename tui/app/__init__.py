"""The full-screen app. `run_app` is its only entry; everything else here is private to it."""

from tui.app.app import RetrospanApp, run_app

__all__ = ["RetrospanApp", "run_app"]
