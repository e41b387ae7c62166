"""What a dialect says differently from DuckDB, beyond what sqlglot knows.

sqlglot spells functions; it does not know that Spark's `max_by` picks a NULL where DuckDB's
`arg_max` does not, or that ClickHouse divides decimals into decimals. Each rule here stands for a
difference that made the rows of an engine differ from DuckDB's; `tests/analytics` compares them.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from enum import StrEnum
from typing import Final

from sqlglot import exp, parse_one

from analytics.errors import LakeError
from analytics.lake.columns import NANOSECONDS
from analytics.lake.manifest import Column

__all__ = ["RULES", "Dialect", "Rules", "quoted_name", "type_name"]


class Dialect(StrEnum):
    """An engine's SQL, as sqlglot calls it."""

    SPARK = "spark"
    CLICKHOUSE = "clickhouse"


_TYPES: Final = {
    # DuckDB: Spark, ClickHouse.
    "VARCHAR": ("STRING", "String"),
    "JSON": ("STRING", "String"),
    "BOOLEAN": ("BOOLEAN", "Bool"),
    "INTEGER": ("INT", "Int32"),
    "INT": ("INT", "Int32"),
    "BIGINT": ("BIGINT", "Int64"),
    "UBIGINT": ("DECIMAL(20, 0)", "UInt64"),
    "HUGEINT": ("DECIMAL(38, 0)", "Int128"),
    "INT128": ("DECIMAL(38, 0)", "Int128"),
    "DOUBLE": ("DOUBLE", "Float64"),
    "DATE": ("DATE", "Date32"),
    "BLOB": ("BINARY", "String"),
    "TIMESTAMP": ("TIMESTAMP_NTZ", "DateTime64(6, 'UTC')"),
    NANOSECONDS: ("TIMESTAMP_NTZ", "DateTime64(9, 'UTC')"),
}


def type_name(column: Column) -> str:
    """The type that a column of a view is cast to.

    Raises:
        LakeError: Engines have no common type for it.
    """
    if column.type in _TYPES or column.type.startswith("DECIMAL("):
        return column.type
    raise LakeError(f"{column.name}: {column.type} is no type that all engines have")


class Rules(ABC):
    """How a dialect tells what DuckDB says."""

    def apply(self, query: exp.Expr) -> exp.Expr:
        """The query with every difference settled, outer parts first: they know inner ones."""
        told = self._settled(query)
        for part in list(told.iter_expressions()):
            other = self.apply(part)
            if other is not part:
                part.replace(other)
        return told

    def _settled(self, node: exp.Expr) -> exp.Expr:
        match node:
            case exp.Div():
                # Both divide whole numbers as such or decimals into decimals somewhere.
                return exp.Div(this=_double(node.this), expression=_double(node.expression))
            case exp.Avg() if not isinstance(node.this, exp.Cast):
                return exp.Avg(this=_double(node.this))
            case exp.Cast() if isinstance(_bare(node.this), exp.JSONExtractScalar):
                # Text from outside: an engine may look at rows that a filter would have left out.
                return self._try_cast(node)
            case exp.TryCast():
                return self._try_cast(node)
            case exp.DataType():
                return self._type(node)
            case exp.JSONExtractScalar() if isinstance(node.expression, exp.Array):
                return _each_extracted(node)
            case exp.SetOperation() if node.args.get("by_name"):
                return _by_position(node)
            case exp.Bracket() if _is_one_of_quantiles(node):
                # Found one by one, because no other engine has NULL for the list of no values.
                shares = node.this.expression.expressions
                return self._quantile(node.this.this, shares[int(node.expressions[0].name) - 1])
            case exp.PercentileCont():
                return self._quantile(node.this, node.expression)
            case exp.Anonymous() if node.name.lower() == "json_exists":
                return self._json_exists(*node.expressions)
            case exp.Anonymous() if node.name.lower() not in _KNOWN:
                raise LakeError(f"{node.name}() is not known to other engines; see analytics.lake")
            case _:
                return self._own(node)

    @abstractmethod
    def _own(self, node: exp.Expr) -> exp.Expr:
        """What only this dialect tells differently."""

    @abstractmethod
    def _type(self, node: exp.DataType) -> exp.Expr:
        """A type of DuckDB in this dialect."""

    @abstractmethod
    def _try_cast(self, node: exp.Cast) -> exp.Expr:
        """A cast that gives NULL where the value does not fit."""

    @abstractmethod
    def _quantile(self, value: exp.Expr, share: exp.Expr) -> exp.Expr:
        """The quantile between the two nearest values."""

    @abstractmethod
    def _json_exists(self, document: exp.Expr, path: exp.Expr) -> exp.Expr:
        """Whether a JSON document has something at a path."""

    @abstractmethod
    def stored(self, column: Column) -> str:
        """SQL of this dialect that makes a column from what files have."""


class _Spark(Rules):
    """Spark 4, ANSI mode, time zone UTC."""

    def _own(self, node: exp.Expr) -> exp.Expr:
        if isinstance(node, (exp.ArgMax, exp.ArgMin)):
            # `max_by` would pick a NULL; DuckDB looks for the greatest among the others.
            exists = exp.Not(this=exp.Is(this=node.this.copy(), expression=exp.Null()))
            order = exp.Case(ifs=[exp.If(this=exists, true=node.expression)])
            return type(node)(this=node.this, expression=order)
        return node

    def _type(self, node: exp.DataType) -> exp.Expr:
        return exp.DataType.build(self._name(node.sql("duckdb")), dialect="spark")

    def _name(self, kind: str) -> str:
        return _TYPES[kind][0] if kind in _TYPES else kind

    def _try_cast(self, node: exp.Cast) -> exp.Expr:
        return exp.TryCast(this=node.this, to=node.to, safe=True)

    def _quantile(self, value: exp.Expr, share: exp.Expr) -> exp.Expr:
        return exp.Anonymous(this="PERCENTILE", expressions=[value, share])

    def _json_exists(self, document: exp.Expr, path: exp.Expr) -> exp.Expr:
        found = exp.JSONExtractScalar(this=document, expression=_path(path))
        return exp.Not(this=exp.Is(this=found, expression=exp.Null()))

    def stored(self, column: Column) -> str:
        name = quoted_name(column, Dialect.SPARK)
        if column.type == NANOSECONDS:
            return f"CAST(TIMESTAMP_MICROS({name} DIV 1000) AS TIMESTAMP_NTZ)"
        return name


class _ClickHouse(Rules):
    """ClickHouse 25.8 or newer, with the settings that a standard asks for."""

    def _own(self, node: exp.Expr) -> exp.Expr:
        match node:
            case exp.LogicalOr():
                return exp.Max(this=node.this)
            case exp.LogicalAnd():
                return exp.Min(this=node.this)
            case exp.JSONExtractScalar():
                # Without the type, what is not there would be an empty text.
                kind = exp.Literal.string("Nullable(String)")
                keys = _keys(node.expression)
                return exp.Anonymous(this="JSONExtract", expressions=[node.this, *keys, kind])
            case exp.ConcatWs():
                return self._joined(node)
            case exp.Count() | exp.Filter() | exp.Window() if _is_count(node):
                # An unsigned count has no type in common with the signed numbers beside it.
                return exp.Cast(this=node.copy(), to=exp.DataType.build("BIGINT"))
            case _:
                return node

    def _joined(self, node: exp.ConcatWs) -> exp.Expr:
        separator, *parts = node.expressions
        given = parse_one(
            "arrayMap(p -> assumeNotNull(p), arrayFilter(p -> isNotNull(p), [x]))",
            dialect="clickhouse",
        )
        array = given.find(exp.Array)
        assert array is not None
        array.set("expressions", parts)
        return exp.Anonymous(this="arrayStringConcat", expressions=[given, separator])

    def _type(self, node: exp.DataType) -> exp.Expr:
        return exp.DataType.build(self._name(node.sql("duckdb")), dialect="clickhouse")

    def _name(self, kind: str) -> str:
        return _TYPES[kind][1] if kind in _TYPES else kind.title()

    def _try_cast(self, node: exp.Cast) -> exp.Expr:
        kind = exp.Literal.string(self._name(node.to.sql("duckdb")))
        return exp.Anonymous(this="accurateCastOrNull", expressions=[node.this, kind])

    def _quantile(self, value: exp.Expr, share: exp.Expr) -> exp.Expr:
        return exp.ParameterizedAgg(
            this="quantileExactInclusive", expressions=[share], params=[value]
        )

    def _json_exists(self, document: exp.Expr, path: exp.Expr) -> exp.Expr:
        return exp.Anonymous(this="JSONHas", expressions=[document, *_keys(_path(path))])

    def stored(self, column: Column) -> str:
        name = quoted_name(column, Dialect.CLICKHOUSE)
        if column.type == NANOSECONDS:
            return f"fromUnixTimestamp64Nano({name}, 'UTC')"
        return f"CAST({name} AS Nullable({self._name(column.type)}))"


RULES: Final[dict[Dialect, Rules]] = {
    Dialect.SPARK: _Spark(),
    Dialect.CLICKHOUSE: _ClickHouse(),
}

_KNOWN: Final = frozenset(
    {"percentile", "jsonextract", "jsonhas", "accuratecastornull", "arraystringconcat"}
    | {"arraymap", "arrayfilter", "assumenotnull", "isnotnull"}
)
"""Functions that only the rules put into a query."""


def quoted_name(column: Column, dialect: Dialect) -> str:
    """A column's name as a dialect writes it."""
    return exp.to_identifier(column.name, quoted=True).sql(dialect.value)


def _double(value: exp.Expr) -> exp.Cast:
    if isinstance(value, exp.Cast) and value.to.this == exp.DType.DOUBLE:
        return value
    return exp.Cast(this=value, to=exp.DataType.build("DOUBLE"))


def _bare(value: exp.Expr) -> exp.Expr:
    return value.unnest() if isinstance(value, exp.Paren) else value


def _each_extracted(node: exp.JSONExtractScalar) -> exp.Array:
    """Several paths at once: an array of what is at each."""
    return exp.Array(
        expressions=[
            exp.JSONExtractScalar(this=node.this.copy(), expression=_path(path))
            for path in node.expression.expressions
        ]
    )


def _by_position(node: exp.SetOperation) -> exp.SetOperation:
    """A union by name as one by position."""
    right = node.right.unnest()
    if not isinstance(right, exp.Select):
        raise LakeError("UNION BY NAME is translated between two SELECTs only")
    selected = {value.alias_or_name: value for value in right.selects}
    if set(selected) != set(node.named_selects):
        raise LakeError("UNION BY NAME of queries with different columns cannot be translated")
    right.set("expressions", [selected[name] for name in node.named_selects])
    node.set("by_name", None)
    return node


def _is_one_of_quantiles(node: exp.Bracket) -> bool:
    """Whether it picks a quantile from a list that one call finds."""
    found = node.this
    return (
        isinstance(found, exp.PercentileCont)
        and isinstance(found.expression, exp.Array)
        and isinstance(node.expressions[0], exp.Literal)
    )


def _is_count(node: exp.Expr) -> bool:
    """Whether it is a whole call of `count`, with its FILTER and OVER, that is not cast yet."""
    inner = node
    while isinstance(inner, (exp.Window, exp.Filter)):
        inner = inner.this
    return isinstance(inner, exp.Count) and not isinstance(
        node.parent, (exp.Cast, exp.Window, exp.Filter)
    )


def _path(path: exp.Expr) -> exp.JSONPath:
    parsed = parse_one(f"a ->> {path.sql('duckdb')}", dialect="duckdb").expression
    if not isinstance(parsed, exp.JSONPath):
        raise LakeError(f"{path.sql('duckdb')} is no JSON path that can be translated")
    return parsed


def _keys(path: exp.Expr) -> list[exp.Expr]:
    """The keys of a JSON path, as text."""
    _, *rest = path.expressions if isinstance(path, exp.JSONPath) else (None,)
    if not rest or not all(isinstance(part, exp.JSONPathKey) for part in rest):
        raise LakeError(f"{path.sql('duckdb')} is no JSON path that can be translated")
    return [exp.Literal.string(part.name) for part in rest]
