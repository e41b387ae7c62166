"""Options of the commands that replay, so that they are spelled and explained once."""

from __future__ import annotations

import click

from tui.cli.options import Amount, Decorator


def workflow_option(*, required: bool = True) -> Decorator:
    """`--workflow NAME`, several times; passed as `workflows`."""
    return click.option(
        "--workflow",
        "workflows",
        metavar="MODULE:CLASS",
        multiple=True,
        required=required,
        help="The workflow's code: module:Class, path/to/file.py:Class, or a whole module. Repeat "
        "for more.",
    )


def profile_option() -> Decorator:
    """`--profile NAME`, passed as a `str` or `None`."""
    return click.option(
        "--profile",
        metavar="NAME",
        help="What the worker was made with: plain, openai-agents, mistral, or module:function "
        "that returns arguments of temporalio.worker.Replayer.",
    )


def timeout_option() -> Decorator:
    """`--timeout SECONDS`, passed as `timeout`."""
    return click.option(
        "--timeout",
        metavar="SECONDS",
        type=Amount(0.1),
        default=60.0,
        show_default=True,
        help="End a replay that takes longer.",
    )
