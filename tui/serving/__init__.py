"""The app in a browser, on this machine alone."""

from tui.serving.server import LocalServer

__all__ = ["LocalServer"]
