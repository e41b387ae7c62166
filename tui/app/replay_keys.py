"""The keys of the replay screen: one table that bindings, footer, help and palette come from.

Letters are those of pudb where it has the same thing; a capital letter is the reverse of its small
one. Every key has an id, so that a keymap file can give it another.
"""

from __future__ import annotations

from typing import NamedTuple

from textual.binding import Binding


class Key(NamedTuple):
    """One key."""

    id: str
    key: str
    action: str
    label: str
    """For the footer."""
    help: str
    """For the help; the label says it if this is empty."""
    is_shown: bool = False
    """In the footer."""

    def binding(self) -> Binding:
        """As Textual wants it."""
        return Binding(
            self.key,
            self.action,
            self.label,
            show=self.is_shown,
            tooltip=self.help,
            id=f"replay.{self.id}",
        )


KEYS = (
    Key("over", "n", "over(1)", "over", "next line of this function, or next step", True),
    Key("over_back", "N", "over(-1)", "back over", "the line of this function, or step, before"),
    Key("into", "s", "into(1)", "into", "next line that runs anywhere, or next event", True),
    Key("into_back", "S", "into(-1)", "back into", "the line, or event, before"),
    Key("continue", "c", "continue(1)", "continue", "to the next breakpoint or failure", True),
    Key("continue_back", "C", "continue(-1)", "continue back", "back to the one before"),
    Key("out", "o", "out(1)", "out", "to the caller, when this function is over"),
    Key("out_back", "O", "out(-1)", "back out", "back to the line that called this function"),
    Key("turn_end", "r", "turn_edge(1)", "end of turn", "to the end of this turn"),
    Key("turn_start", "R", "turn_edge(-1)", "start of turn", "back to the start of this turn"),
    Key("step", "right_parenthesis", "entry(1)", "next step", "next step, signal or update"),
    Key("step_back", "left_parenthesis", "entry(-1)", "step before", "the step before"),
    Key("turn", "right_curly_bracket", "turn(1)", "next turn", "next turn"),
    Key("turn_back", "left_curly_bracket", "turn(-1)", "turn before", "turn before"),
    Key("failure", "p", "failure(1)", "problem", "to the next failure", True),
    Key("failure_back", "P", "failure(-1)", "problem before", "back to the failure before"),
    Key("branch", "greater_than_sign", "branch(1)", "branch", "to the next decision of the code"),
    Key("branch_back", "less_than_sign", "branch(-1)", "branch before", "to the decision before"),
    Key("up", "u", "frame(1)", "up", "values of the caller"),
    Key("down", "d", "frame(-1)", "down", "values of the function that was called"),
    Key("break", "b", "break", "break", "breakpoint here: a line, or a step's name"),
    Key("breakpoints", "B", "breakpoints", "breakpoints", "list breakpoints and watches"),
    Key("watch", "w", "watch", "watch", "keep this value in sight, or no more"),
    Key("who_set", "W", "who_set", "who set", "to the line that set this value", True),
    Key("payload", "enter", "payload", "payload", "the payloads on the whole screen"),
    Key("tab", "v", "tab(1)", "in/out", "next tab of the payload"),
    Key("tab_back", "V", "tab(-1)", "tab before", "tab of the payload before"),
    Key("record", "T", "record", "tape", "record a tape in the background, or stop it", True),
    Key("diff", "D", "diff", "diff", "compare with another run", True),
    Key("fork", "F", "fork", "fork", "run it again from here with something changed", True),
    Key("forks", "f", "forks", "forks", "every fork of this run, and what came of it"),
    Key("check", "K", "check", "check", "would this code replay the run?"),
    Key("grep", "ctrl+f", "grep", "find in payloads", "find in all payloads and names"),
    Key("cost", "M", "cost", "cost", "what models cost here"),
    Key("waits", "Z", "waits", "waits", "what it waited for, and waits for now"),
    Key("copy", "y", "copy", "copy", "copy the event's payload, or a link to this place"),
    Key("edit", "e", "edit", "edit", "open the source at this line in $EDITOR"),
    Key("find", "slash", "find", "find", "find a text in the timeline", True),
    Key("find_next", "full_stop", "find_again(1)", "find the next", ""),
    Key("find_back", "comma", "find_again(-1)", "find the one before", ""),
    Key("command", "colon", "command", "command", "type a command, or an event to go to"),
    Key("back", "left_square_bracket", "trail(-1)", "back to where a jump began", ""),
    Key("forward", "right_square_bracket", "trail(1)", "forward again", ""),
    Key("turns", "t", "turns", "turns/events", "turns, or single events"),
    Key("quiet", "x", "quiet", "quiet", "hide workflow tasks, or show them again"),
    Key("columns", "dollar_sign", "columns", "money", "money: of each row, so far, or none"),
    Key("fold", "h,left", "fold(1)", "fold", "fold this turn or value"),
    Key("unfold", "l,right", "fold(0)", "unfold", "unfold it"),
    Key("pane1", "1", "pane('timeline')", "timeline", "to the timeline"),
    Key("pane2", "2", "pane('source')", "source", "to the source"),
    Key("pane3", "3", "pane('values')", "values", "to the values"),
    Key("pane4", "4", "pane('payload')", "payload", "to the payload"),
    Key("zoom", "plus", "zoom", "zoom", "give this pane the whole screen, or take it back"),
    Key("next_pane", "tab", "app.focus_next", "other pane", ""),
    Key("leave", "escape,q", "leave", "leave", "leave what is on top", True),
)
