"""Where the decisions are in a source file, found by the positions that bytecode carries.

Bytecode knows only jumps. Which of them belong to one `if`, what its condition reads as, and
whether a jump taken means that the condition held, stands in the source. The index maps the
position of each sub-expression that can cause a jump to the decision it belongs to (`Leaf`).

A condition made of several parts is one decision: `Leaf` says for each part whether it being true,
or false, settles the whole.
"""

from __future__ import annotations

import ast
import io
import sys
import tokenize
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Final, cast

from tracer.branches.points import BranchKind

type Range = tuple[int, int, int, int]
"""Line, last line, column, end column: the order of `co_positions()`; columns in UTF-8 bytes."""

_MOST_TEXT: Final = 200
_MOST_NAMES: Final = 8
# From 3.13 on FOR_ITER carries the position of what is iterated over, before that the statement's.
_FOR_ITER_IS_AT_ITERABLE: Final = sys.version_info >= (3, 13)
_BINDS_TIGHTER_THAN_NOT: Final = (
    ast.Name,
    ast.Attribute,
    ast.Call,
    ast.Compare,
    ast.Subscript,
    ast.BinOp,
    ast.Await,
)


@dataclass(frozen=True, slots=True, eq=False)
class Test:
    """A decision as it is written."""

    kind: BranchKind
    where: Range
    text: str
    is_compound: bool = False
    names: tuple[str, ...] = ()
    """What the condition reads, such as `limit` or `self.order.total`."""
    has_condition: bool = True


@dataclass(frozen=True, slots=True, eq=False)
class Leaf:
    """A part of a condition that makes the interpreter jump."""

    test: Test
    if_true: bool | None
    """The outcome of the test when this part is true; `None` if that does not settle it."""
    if_false: bool | None
    text: str
    """The part as it is written."""
    negated: str
    """What holds when the part is false."""
    operator: type[ast.cmpop] | None = None
    """The last operator, where the part is a comparison."""
    is_chain: bool = False
    """`a < b < c`"""


@dataclass(frozen=True, slots=True, eq=False)
class Case:
    """A `case` of a `match`."""

    test: Test
    pattern: frozenset[Range]
    """All positions within its pattern."""
    guard: Range | None
    body: Range


@dataclass(frozen=True, slots=True, eq=False)
class Loop:
    """A loop that no condition ends."""

    test: Test
    where: Range
    """The whole statement."""
    body: Range


@dataclass(slots=True)
class SourceIndex:
    """The decisions of a file, by position."""

    leaves: dict[Range, Leaf] = field(default_factory=dict)
    none_operands: dict[Range, Leaf] = field(default_factory=dict)
    """`x` of `x is None`: where comparisons with None jump, the comparison leaves no code."""
    operands: dict[Range, list[tuple[Range, Leaf]]] = field(default_factory=dict)
    """An `and` or `or` whose value is used, to its operands but the last."""
    fors: dict[Range, Test] = field(default_factory=dict)
    endless: list[Loop] = field(default_factory=list)
    """`while True`"""
    async_fors: dict[Range, Loop] = field(default_factory=dict)
    handlers: dict[Range, Test] = field(default_factory=dict)
    cases: dict[Range, Case] = field(default_factory=dict)
    """By each position within the pattern."""


def read_source(path: str) -> str:
    """The text of a Python file.

    Raises:
        OSError: It cannot be read.
        SyntaxError: Its encoding is unknown.
    """
    # Not `open`: the sandbox forbids it on its threads, to our code as well.
    with io.open_code(path) as file:
        data = file.read()
    encoding, _ = tokenize.detect_encoding(io.BytesIO(data).readline)
    return data.decode(encoding).replace("\r\n", "\n").replace("\r", "\n")


def index_source(text: str) -> SourceIndex:
    """Find the decisions of a source file.

    Raises:
        SyntaxError, ValueError: It is not Python.
    """
    return _Indexer(text).index


def range_of(node: ast.expr | ast.stmt | ast.pattern | ast.excepthandler) -> Range:
    """The node's position; nodes of a parsed file have one."""
    return (
        node.lineno,
        cast("int", node.end_lineno),
        node.col_offset,
        cast("int", node.end_col_offset),
    )


class _Indexer:
    def __init__(self, text: str) -> None:
        self.index = SourceIndex()
        self._lines = text.split("\n")
        self._in_tests: set[int] = set()
        # Breadth first: a condition is met before its parts.
        for node in ast.walk(ast.parse(text)):
            self._visit(node)

    def _visit(self, node: ast.AST) -> None:
        match node:
            case ast.If():
                self._condition(BranchKind.ELIF if self._is_elif(node) else BranchKind.IF, node)
            case ast.IfExp():
                self._condition(BranchKind.TERNARY, node)
            case ast.Assert():
                self._condition(BranchKind.ASSERT, node)
            case ast.While(test=ast.Constant() as constant):
                self._endless(node, constant)
            case ast.While():
                self._condition(BranchKind.WHILE, node)
            case ast.For() | ast.AsyncFor():
                self._for(node)
            case ast.comprehension():
                self._filters(node)
            case ast.ExceptHandler(type=ast.expr() as caught):
                self.index.handlers[range_of(node)] = Test(
                    BranchKind.EXCEPT, range_of(caught), self._text(caught)
                )
            case ast.match_case():
                self._case(node)
            case ast.BoolOp() if id(node) not in self._in_tests:
                self._value(node)
            case _:
                pass

    def _condition(
        self, kind: BranchKind, node: ast.If | ast.IfExp | ast.Assert | ast.While
    ) -> None:
        self._leaves(node.test, self._test(kind, node.test), True, False)

    def _filters(self, node: ast.comprehension) -> None:
        for condition in node.ifs:
            self._leaves(condition, self._test(BranchKind.FILTER, condition), True, False)
        # Storing the target and loading it again for the first part is one instruction from 3.13
        # on, at the position of the target.
        first = self.index.leaves.get(range_of(_first_part(node.ifs[0]))) if node.ifs else None
        for part in ast.walk(node.target):
            if first and isinstance(part, ast.Name):
                self.index.none_operands[range_of(part)] = first

    def _test(self, kind: BranchKind, condition: ast.expr) -> Test:
        return Test(
            kind,
            range_of(condition),
            self._text(condition),
            _is_compound(condition),
            _names_in(condition),
        )

    def _leaves(
        self, part: ast.expr, test: Test, if_true: bool | None, if_false: bool | None
    ) -> None:
        """Index the parts of a condition, as the compiler walks them."""
        match part:
            case ast.UnaryOp(op=ast.Not(), operand=operand):
                self._leaves(operand, test, if_false, if_true)
            case ast.BoolOp():
                self._in_tests.add(id(part))
                self._boolean(part, test, if_true, if_false)
            case ast.IfExp(body=body, orelse=orelse):
                self._leaves(body, test, if_true, if_false)
                self._leaves(orelse, test, if_true, if_false)
            case ast.Constant():
                pass
            case _:
                self._leaf(part, test, if_true, if_false)

    def _boolean(
        self, node: ast.BoolOp, test: Test, if_true: bool | None, if_false: bool | None
    ) -> None:
        is_and = isinstance(node.op, ast.And)
        for number, value in enumerate(node.values):
            # What it means when this operand leaves the answer to those after it.
            passed_on = if_true if is_and else if_false
            for following in node.values[number + 1 :]:
                if not isinstance(following, ast.Constant):
                    passed_on = None
                    break
                if bool(following.value) != is_and:
                    passed_on = if_false if is_and else if_true
                    break
            if is_and:
                self._leaves(value, test, passed_on, if_false)
            else:
                self._leaves(value, test, if_true, passed_on)

    def _leaf(
        self, part: ast.expr, test: Test, if_true: bool | None, if_false: bool | None
    ) -> None:
        text = self._text(part)
        is_simple = isinstance(part, _BINDS_TIGHTER_THAN_NOT)
        negated = f"not {text}" if is_simple else f"not ({text})"
        leaf = Leaf(test, if_true, if_false, text, negated)
        if isinstance(part, ast.Compare):
            leaf = replace(leaf, operator=type(part.ops[-1]), is_chain=len(part.ops) > 1)
            if not leaf.is_chain and leaf.operator in (ast.Is, ast.IsNot):
                for operand in (part.left, part.comparators[0]):
                    self.index.none_operands[range_of(operand)] = leaf
        self.index.leaves[range_of(part)] = leaf

    def _value(self, node: ast.BoolOp) -> None:
        operands: list[tuple[Range, Leaf]] = []
        for value in node.values[:-1]:
            test = Test(
                BranchKind.BOOLEAN, range_of(value), self._text(value), names=_names_in(value)
            )
            operands.append((test.where, Leaf(test, True, False, test.text, test.text)))
        self.index.operands[range_of(node)] = operands

    def _for(self, node: ast.For | ast.AsyncFor) -> None:
        start, end = range_of(node.target), range_of(node.iter)
        where = (start[0], end[1], start[2], end[3])
        text = _short(f"{self._text(node.target)} in {self._text(node.iter)}")
        test = Test(BranchKind.FOR, where, text, has_condition=False)
        if isinstance(node, ast.AsyncFor):
            self.index.async_fors[range_of(node)] = Loop(test, range_of(node), _body_of(node))
        elif _FOR_ITER_IS_AT_ITERABLE:
            self.index.fors[end] = test
        else:
            self.index.fors[range_of(node)] = test

    def _endless(self, node: ast.While, constant: ast.Constant) -> None:
        test = Test(BranchKind.WHILE, range_of(constant), self._text(constant), has_condition=False)
        self.index.endless.append(Loop(test, range_of(node), _body_of(node)))

    def _case(self, node: ast.match_case) -> None:
        start = range_of(node.pattern)
        end = range_of(node.guard) if node.guard else start
        text = f"case {self._text(node.pattern)}"
        if node.guard:
            text += f" if {self._text(node.guard)}"
        names = _names_in(node.guard) if node.guard else ()
        where = (start[0], end[1], start[2], end[3])
        test = Test(BranchKind.MATCH, where, _short(text), names=names)
        case = Case(
            test,
            frozenset(_ranges_in(node.pattern)),
            range_of(node.guard) if node.guard else None,
            _body_of(node),
        )
        for position in case.pattern:
            self.index.cases[position] = case
        if node.guard:
            self._leaves(node.guard, test, True, False)

    def _is_elif(self, node: ast.If) -> bool:
        line = self._lines[node.lineno - 1].encode()
        return line[node.col_offset : node.col_offset + 4] == b"elif"

    def _text(self, node: ast.expr | ast.pattern) -> str:
        line, end_line, column, end_column = range_of(node)
        if line != end_line:
            # Comments and line breaks would read as part of the condition.
            return _short(ast.unparse(node))
        return _short(self._lines[line - 1].encode()[column:end_column].decode("utf-8", "replace"))


def _body_of(node: ast.While | ast.AsyncFor | ast.match_case) -> Range:
    first, last = range_of(node.body[0]), range_of(node.body[-1])
    return first[0], last[1], first[2], last[3]


def contains(outer: Range, inner: Range) -> bool:
    """Whether one position lies within another."""
    return (outer[0], outer[2]) <= (inner[0], inner[2]) and (inner[1], inner[3]) <= (
        outer[1],
        outer[3],
    )


def _first_part(condition: ast.expr) -> ast.expr:
    """What is evaluated first."""
    while True:
        match condition:
            case ast.BoolOp(values=[first, *_]):
                condition = first
            case ast.UnaryOp(op=ast.Not(), operand=first) | ast.IfExp(test=first):
                condition = first
            case _:
                return condition


def _is_compound(condition: ast.expr) -> bool:
    while isinstance(condition, ast.UnaryOp) and isinstance(condition.op, ast.Not):
        condition = condition.operand
    return isinstance(condition, ast.BoolOp | ast.IfExp)


def _short(text: str) -> str:
    return text if len(text) <= _MOST_TEXT else text[: _MOST_TEXT - 1] + "…"


def _ranges_in(pattern: ast.pattern) -> Iterator[Range]:
    for node in ast.walk(pattern):
        if isinstance(node, ast.pattern | ast.expr):
            yield range_of(node)


def _names_in(condition: ast.expr) -> tuple[str, ...]:
    found: dict[str, None] = {}
    parts: list[ast.AST] = [condition]
    while parts and len(found) < _MOST_NAMES:
        part = parts.pop(0)
        name = _dotted(part)
        if name:
            found[name] = None
        else:
            parts[:0] = _parts_of(part)
    return tuple(found)


def _parts_of(node: ast.AST) -> Sequence[ast.AST]:
    match node:
        case ast.Lambda() | ast.GeneratorExp() | ast.ListComp() | ast.SetComp() | ast.DictComp():
            return ()
        case ast.Call(func=ast.Attribute(value=receiver)):
            return [receiver, *node.args, *node.keywords]
        case ast.Call():
            return [*node.args, *node.keywords]
        case _:
            return list(ast.iter_child_nodes(node))


def _dotted(node: ast.AST) -> str:
    match node:
        case ast.Name(id=name):
            return name
        case ast.Attribute(value=value, attr=name):
            before = _dotted(value)
            return f"{before}.{name}" if before else ""
        case _:
            return ""
