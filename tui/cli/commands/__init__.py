"""One module per command; each defines `command`. `tui.cli.program` holds the list."""
