"""What a terminal shows: the `retrospan` command and the full-screen app.

Both are thin: they resolve names, call `replayer` and `analytics`, and draw. Neither grows logic of
its own, so that they cannot disagree. The command never imports the app; a test keeps that true.
"""
