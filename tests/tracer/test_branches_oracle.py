"""Captured decisions are those that the code takes: compared with the same code, instrumented.

Hypothesis writes functions. Each runs twice: once watched, and once as a copy whose syntax tree was
changed so that every decision reports itself. Both must tell the same story, in the same order.
"""

import ast
import asyncio
import dis
import importlib
import importlib.util
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import CodeType, ModuleType
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tracer.branches import (
    ActivationBranches,
    BranchKind,
    BranchSettings,
    BranchWatch,
    RunBranches,
    process_watch,
)
from tracer.branches._plan import plan_of
from tracer.branches._source import index_source, read_source

type Told = tuple[int, int, str, bool]
"""Line, column, kind, outcome."""
type Place = tuple[int, int]

_EVERYTHING = BranchSettings(
    per_activation=10**6, per_outcome=10**6, evaluations=10**6, evaluations_per_point=10**6
)
_PRELUDE = """\
from contextlib import suppress

class Workflow:
    ONE = 1

class Fuel:
    left = 0

def fuel():
    Fuel.left -= 1
    return Fuel.left > 0

def same(x):
    return x

"""


@dataclass
class Writer:
    """Writes a function, as a source of choices tells."""

    choose: Callable[[int], int]
    lines: list[str] = field(default_factory=list)
    loops: int = 0

    def pick(self, *options: str) -> str:
        return options[self.choose(len(options))]

    def name(self) -> str:
        return self.pick("a", "b", "c", "d")

    def test(self, depth: int = 2) -> str:
        """A condition."""
        if depth == 0:
            return self.simple_test()
        inner = [self.test(depth - 1) for _ in range(3)]
        return self.pick(
            self.simple_test(),
            f"{inner[0]} and {inner[1]}",
            f"({inner[0]} or {inner[1]})",
            f"not ({inner[0]})",
            f"({inner[0]}) and ({inner[1]} or {inner[2]})",
            f"({inner[0]} or {inner[1]}) and not ({inner[2]})",
            f"({inner[0]} if {inner[1]} else {inner[2]})",
            f"same({inner[0]} or {self.name()}) == {self.name()}",
            f"(\n        {inner[0]}  # why\n        or {inner[1]}\n    )",
        )

    def simple_test(self) -> str:
        name, other = self.name(), self.name()
        return self.pick(
            name,
            f"{name} > {other}",
            f"{name} is None",
            f"{name} is not None",
            f"not {name} is None",
            f"{name} in xs",
            f"not {name} in xs",
            f"{name} not in xs",
            f"not {name}",
            f"same({name})",
            f"0 < same({name}) < 3",
            f"0 <= a < {other} <= 3",
            f"not 0 < same({name}) < 3",
            f"(e := same({name}))",
            f"any(x > {name} for x in xs if x)",
        )

    def guard(self) -> str:
        """A condition that cannot raise: the instrumented copy would lose its thread."""
        one, other = (
            self.pick(name, f"{name} is None", f"not {name} in xs", f"same({name})")
            for name in (self.name(), self.name())
        )
        return self.pick(one, f"{one} and {other}", f"not ({one} or {other})", f"({one} or b) == a")

    def value(self) -> str:
        return self.pick(
            self.name(),
            f"{self.test(1)} or {self.name()}",
            f"{self.simple_test()} and {self.simple_test()} or {self.name()}",
            f"({self.simple_test()} or {self.simple_test()}) and {self.name()} and {self.name()}",
            f"{self.name()} if {self.test(1)} else {self.name()}",
            f"len([x for x in xs if {self.test(1)}])",
            "len([x for x in xs if x is not None if x])",
            "len([(1 if x else 2) for x in xs if same(x)])",
            f"len({{x: y for x in xs if x for y in xs if y == {self.name()}}})",
            f"same({self.name()} or {self.name()})",
            f"(lambda x: x or {self.name()})({self.name()})",
        )

    def put(self, depth: int, text: str) -> None:
        self.lines.append("    " * depth + text)

    def block(self, depth: int, size: int, in_loop: bool = False) -> None:
        for _ in range(1 + self.choose(size)):
            self.statement(depth, max(1, size - 1), in_loop)

    def statement(self, depth: int, size: int, in_loop: bool) -> None:
        kinds = [self.assign, self.plain]
        if depth < 5:
            kinds += [self.if_, self.if_, self.match]
        if depth < 4:
            kinds += [self.while_, self.endless, self.for_, self.try_, self.with_]
        if in_loop:
            kinds.append(self.leave)
        kinds[self.choose(len(kinds))](depth, size, in_loop)

    def assign(self, depth: int, size: int, in_loop: bool) -> None:
        self.put(depth, f"{self.name()} = {self.value()}")

    def plain(self, depth: int, size: int, in_loop: bool) -> None:
        self.put(depth, self.pick("pass", "a += 1", "same(a)", f"assert {self.test(1)}"))

    def leave(self, depth: int, size: int, in_loop: bool) -> None:
        self.put(depth, self.pick("continue", "break"))

    def if_(self, depth: int, size: int, in_loop: bool) -> None:
        self.put(depth, f"if {self.test()}:")
        self.block(depth + 1, size - 1 or 1, in_loop)
        if self.choose(2):
            self.put(depth, f"elif {self.test(1)}:")
            self.block(depth + 1, 1, in_loop)
        if self.choose(2):
            self.put(depth, "else:")
            self.block(depth + 1, 1, in_loop)

    def while_(self, depth: int, size: int, in_loop: bool) -> None:
        self.put(depth, f"while fuel() and ({self.test(1)}):")
        self.block(depth + 1, size, True)

    def endless(self, depth: int, size: int, in_loop: bool) -> None:
        self.put(depth, self.pick("while True:", "while 1:"))
        self.put(depth + 1, "if not fuel():")
        self.put(depth + 2, "break")
        self.block(depth + 1, size, True)

    def for_(self, depth: int, size: int, in_loop: bool) -> None:
        self.put(depth, f"for {self.pick('a', 'd')} in xs:")
        self.block(depth + 1, size, True)
        if self.choose(3) == 0:
            self.put(depth, "else:")
            self.block(depth + 1, 1, in_loop)

    def with_(self, depth: int, size: int, in_loop: bool) -> None:
        self.put(depth, "with suppress(KeyError):")
        self.block(depth + 1, size, in_loop)
        self.put(depth + 1, self.pick("pass", "raise KeyError"))

    def try_(self, depth: int, size: int, in_loop: bool) -> None:
        self.put(depth, "try:")
        self.block(depth + 1, size, in_loop)
        self.put(depth + 1, self.pick("pass", "raise KeyError", "raise ValueError", "{}[a]"))
        self.put(depth, f"except {self.pick('KeyError', '(ValueError, OSError)')} as error:")
        self.block(depth + 1, 1, in_loop)
        self.put(depth, "except (TypeError, AssertionError):")
        self.block(depth + 1, 1, in_loop)
        if self.choose(2):
            self.put(depth, "finally:")
            # `continue` and `break` in here would swallow exceptions.
            self.block(depth + 1, 1)

    def match(self, depth: int, size: int, in_loop: bool) -> None:
        self.put(depth, f"match {self.pick('a', 'xs', '(a, b)', '{1: a}', 'd')}:")
        for _ in range(1 + self.choose(3)):
            pattern = self.pick(
                "1",
                "None",
                "1 | 2",
                "[p, *q]",
                "(1, q) | (q, 1)",
                "{1: p}",
                "int()",
                "int(real=1) as p",
                "Workflow.ONE",
                "[1, [2, _]] | [_, 0]",
            )
            guard = self.pick("", "", f" if {self.guard()}")
            self.put(depth + 1, f"case {pattern}{guard}:")
            self.block(depth + 2, 1, in_loop)
        if self.choose(2):
            self.put(depth + 1, f"case {self.pick('_', 'p')}:")
            self.block(depth + 2, 1, in_loop)


@st.composite
def functions(draw: st.DrawFn) -> str:
    writer = Writer(lambda options: draw(st.integers(0, options - 1)))
    writer.put(0, "def decide(a, b, c, d, xs):")
    writer.put(1, "e = p = q = 0")
    writer.block(1, 4)
    writer.put(1, f"return ({writer.value()}, a, b, c, d, e)")
    return _PRELUDE + "\n".join(writer.lines) + "\n"


class Story:
    """What the instrumented copy tells."""

    def __init__(self) -> None:
        self.told: list[Told] = []
        self.rounds: Counter[Place] = Counter()
        self._in_loop: set[Place] = set()

    def test(self, line: int, column: int, kind: str, value: Any) -> Any:
        outcome = bool(value)
        place = line, column
        if kind == "while":
            self.rounds[place] += outcome
            is_repeated = outcome and place in self._in_loop
            (self._in_loop.add if outcome else self._in_loop.discard)(place)
            if is_repeated:
                return value
        self.told.append((line, column, kind, outcome))
        return value

    def alternatives(self, kind: str, places: list[tuple[int, int, bool]], hit: int) -> None:
        for number, (line, column, is_told) in enumerate(places[: hit + 1]):
            if is_told:
                self.told.append((line, column, kind, number == hit))

    def round(self, line: int, column: int, step: int) -> None:
        self.rounds[line, column] += step


class Instrument(ast.NodeTransformer):
    """Makes every decision call the story."""

    def __init__(self, text: str) -> None:
        self._lines = text.split("\n")

    def visit_If(self, node: ast.If) -> ast.If:
        is_elif = self._lines[node.lineno - 1][node.col_offset :].startswith("elif")
        node.test = self._told(node.test, "elif" if is_elif else "if")
        return self._children(node)

    def visit_IfExp(self, node: ast.IfExp) -> ast.IfExp:
        node.test = self._told(node.test, "ternary")
        return self._children(node)

    def visit_Assert(self, node: ast.Assert) -> ast.Assert:
        node.test = self._told(node.test, "assert")
        return self._children(node)

    def visit_comprehension(self, node: ast.comprehension) -> ast.comprehension:
        node.ifs = [self._told(test, "filter") for test in node.ifs]
        return self._children(node)

    def visit_While(self, node: ast.While) -> Any:
        if not isinstance(node.test, ast.Constant):
            node.test = self._told(node.test, "while")
            return self._children(node)
        place = f"{node.test.lineno}, {node.test.col_offset}"
        begin, loop = self._call(f"_story.round({place}, -1)"), self._children(node)
        loop.body.insert(0, self._call(f"_story.round({place}, 1)"))
        return [begin, loop]

    def visit_For(self, node: ast.For) -> ast.For:
        place = f"{node.target.lineno}, {node.target.col_offset}"
        node = self._children(node)
        node.body.insert(0, self._call(f"_story.round({place}, 1)"))
        return node

    def visit_BoolOp(self, node: ast.BoolOp) -> ast.BoolOp:
        if not hasattr(node, "is_in_test"):
            node.values[:-1] = [self._told(value, "boolean", True) for value in node.values[:-1]]
        return self._children(node)

    def visit_Try(self, node: ast.Try) -> ast.Try:
        places = [
            (handler.type.lineno, handler.type.col_offset, True)
            for handler in node.handlers
            if handler.type
        ]
        node = self._children(node)
        for number, handler in enumerate(node.handlers):
            handler.body.insert(0, self._call(f"_story.alternatives('except', {places}, {number})"))
        last = ast.parse("try:\n pass\nexcept BaseException:\n raise").body[0]
        assert isinstance(last, ast.Try)
        last.handlers[0].body.insert(
            0, self._call(f"_story.alternatives('except', {places}, {len(places)})")
        )
        node.handlers.append(last.handlers[0])
        return node

    def visit_Match(self, node: ast.Match) -> ast.Match:
        places = [
            (case.pattern.lineno, case.pattern.col_offset, not _always_matches(case))
            for case in node.cases
        ]
        for case in node.cases:
            if case.guard:
                _mark_test(case.guard)
        node = self._children(node)
        for number, case in enumerate(node.cases):
            case.body.insert(0, self._call(f"_story.alternatives('match', {places}, {number})"))
        if places[-1][2]:
            body: list[ast.stmt] = [
                self._call(f"_story.alternatives('match', {places}, {len(places)})")
            ]
            node.cases.append(ast.match_case(ast.MatchAs(), None, body))
        return node

    def _told(self, test: ast.expr, kind: str, is_value: bool = False) -> ast.expr:
        if not is_value:
            _mark_test(test)
        call = self._call(f"_story.test({test.lineno}, {test.col_offset}, {kind!r}, None)").value
        assert isinstance(call, ast.Call)
        call.args[-1] = test
        return call

    def _call(self, text: str) -> ast.Expr:
        statement = ast.parse(text).body[0]
        assert isinstance(statement, ast.Expr)
        return statement

    def _children[N: ast.AST](self, node: N) -> N:
        self.generic_visit(node)
        return node


def _always_matches(case: ast.match_case) -> bool:
    return isinstance(case.pattern, ast.MatchAs) and not case.pattern.pattern and not case.guard


def _mark_test(test: ast.expr) -> None:
    """The `and` and `or` of a condition are parts of it, not decisions of their own."""
    if isinstance(test, ast.BoolOp):
        vars(test)["is_in_test"] = True
        parts = test.values
    elif isinstance(test, ast.UnaryOp):
        parts = [test.operand]
    elif isinstance(test, ast.IfExp):
        parts = [test.body, test.orelse]
    else:
        parts = []
    for part in parts:
        _mark_test(part)


def run(module: Any, arguments: tuple[Any, ...]) -> Any:
    module.Fuel.left = 25
    try:
        return module.decide(*arguments)
    except Exception as error:  # noqa: BLE001 - whatever the function does is right
        return type(error)


def tell(text: str, arguments: tuple[Any, ...]) -> tuple[Any, Story]:
    """The result of the function, and its story by the instrumented copy."""
    tree = ast.fix_missing_locations(Instrument(text).visit(ast.parse(text)))
    story = Story()
    module: Any = ModuleType("instrumented")
    module._story = story
    exec(compile(tree, "instrumented", "exec"), vars(module))
    return run(module, arguments), story


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("generated")


def load(folder: Path, text: str, monkeypatch: pytest.MonkeyPatch) -> Any:
    path = folder / f"generated_{len(list(folder.iterdir()))}.py"
    path.write_text(text)
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    # The watch finds a workflow's file by its module.
    monkeypatch.setitem(sys.modules, path.stem, module)
    spec.loader.exec_module(module)
    return module


def observe(
    watch: BranchWatch, module: Any, arguments: tuple[Any, ...]
) -> tuple[Any, ActivationBranches]:
    """The result of the function, and what the watch saw."""

    async def activation() -> tuple[Any, ActivationBranches]:
        errors: list[Exception] = []
        run_branches = RunBranches(_EVERYTHING, lambda _, error: errors.append(error))
        with watch.watching(run_branches, at=1) as found:
            result = run(module, arguments)
        assert errors == []
        return result, found

    return asyncio.run(activation())


ARGUMENTS = st.tuples(
    *(st.sampled_from([0, 1, 2, 3, None]) for _ in range(4)),
    st.lists(st.sampled_from([0, 1, 2, None]), max_size=4),
)


@pytest.mark.slow
@settings(
    max_examples=100,
    report_multiple_bugs=False,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(text=functions(), arguments=ARGUMENTS)
def test_decisions_are_those_that_the_instrumented_copy_tells(
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    text: str,
    arguments: tuple[Any, ...],
) -> None:
    # The one of the process: a second would take the tool id that Hypothesis wants.
    watch = process_watch()
    module = load(folder, text, monkeypatch)
    watch.include(module.Workflow)
    expected, story = tell(text, arguments)

    result, found = observe(watch, module, arguments)

    assert result == expected
    own = f"{module.__name__}.py"
    seen = [
        (branch.point.line, branch.point.column, branch.point.kind.value, branch.outcome)
        for branch in found.branches
        # Tests of workers make this very package known to the process as workflow code.
        if branch.point.file == own
    ]
    told = [told for told in story.told if told[0] > _PRELUDE.count("\n")]
    # The copy tells of cases that did not match only when another did.
    for is_case in (False, True):
        assert [branch for branch in seen if (branch[2] == "match") == is_case] == [
            decision for decision in told if (decision[2] == "match") == is_case
        ]
    rounds = {
        (point.line, point.column): count
        for point, count in found.loops.items()
        if count and point.file == own
    }
    assert rounds == {place: count for place, count in story.rounds.items() if count > 0}
    assert found.dropped == 0
    assert found.muted == set()
    evaluations = Counter(b.point for b in found.branches if b.point.kind != BranchKind.WHILE)
    for point, count in evaluations.items():
        occurrences = [b.occurrence for b in found.branches if b.point == point]
        assert occurrences == list(range(1, count + 1))


@pytest.mark.parametrize(
    "module", ["argparse", "asyncio.base_events", "dataclasses", "inspect", "tarfile", "typing"]
)
def test_every_jump_of_real_code_is_explained(module: str) -> None:
    path = str(importlib.import_module(module).__file__)
    text = read_source(path)
    index = index_source(text)
    unexplained, explained = [], 0
    for code in code_objects(compile(text, path, "exec")):
        plan, before = plan_of(code, index, path), ""
        for instruction in dis.get_instructions(code):
            if instruction.opname.startswith("POP_JUMP_IF_"):
                explained += instruction.offset in plan.sites
                # Leaving a `with` on an exception is no decision that anybody wrote.
                if instruction.offset not in plan.sites and before not in _WITH:
                    unexplained.append(instruction.positions)
            if instruction.opname not in ("TO_BOOL", "EXTENDED_ARG"):
                before = instruction.opname

    assert unexplained == []
    assert explained > 100


_WITH = ("WITH_EXCEPT_START", "END_SEND")


def code_objects(code: CodeType) -> Iterator[CodeType]:
    yield code
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from code_objects(constant)
