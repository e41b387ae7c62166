"""A run laid out for stepping: its timeline, its tape, and every pane as a function of the focus.

Nothing here knows Textual, and nothing here draws: `tui.app` asks for lines and puts them on the
screen. All of it may read a tape or decode payloads, and so belongs off the event loop.
"""
