"""Engines that answer on a lake: Spark and ClickHouse, each behind the same small door.

Everything listens on the loopback interface, and is gone when the door closes. Queries are those of
the warehouse: they are translated, and nothing but the tables and views of the lake is let through.
"""

from __future__ import annotations

import os
import re
import subprocess
import warnings
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import pyarrow as pa

from analytics.errors import LakeError
from analytics.lake.manifest import check_folder
from analytics.lake.reader import Answer
from analytics.lake.scripts import clickhouse_preparation, lake_statements
from analytics.lake.spark_job import SETTINGS, register
from analytics.lake.translation import Dialect, Statement, flat_name, translate

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

__all__ = ["Engine", "chdb_engine", "spark_engine"]

LOCAL: Final = "local[*]"
"""Spark in one process, on all cores."""


class Engine(ABC):
    """An engine with the views of one lake."""

    dialect: Dialect

    def query(self, sql: str) -> Answer:
        """Answer a query in the words of the warehouse.

        Raises:
            LakeError: It cannot be translated, or the engine refuses it.
        """
        return self.run(translate(sql, self.dialect))

    @abstractmethod
    def run(self, sql: str) -> Answer:
        """Answer a query in the engine's own words."""


class _Spark(Engine):
    dialect = Dialect.SPARK

    def __init__(self, session: SparkSession, statements: Iterable[Statement]) -> None:
        self._session = session
        self._unmade = {each.name: each for each in statements}

    def run(self, sql: str) -> Answer:
        from pyspark.errors import PySparkException

        try:
            self._make_views_of(sql)
            frame = self._session.sql(sql)
            return Answer(tuple(frame.columns), [tuple(row) for row in frame.collect()])
        except PySparkException as error:
            raise LakeError(f"Spark refuses it: {str(error).splitlines()[0]}") from error

    def _make_views_of(self, sql: str) -> None:
        """Make the views that a query names, and those that they read.

        To make all of them takes as long as Spark takes to start, and a query names a few.
        """
        words = {word.lower() for word in re.findall(r"\w+", sql)}
        for name in [n for n in self._unmade if flat_name(n, self.dialect).lower() in words]:
            self._make(name)

    def _make(self, name: str) -> None:
        if statement := self._unmade.pop(name, None):
            for other in sorted(statement.reads):
                self._make(other)
            self._session.sql(statement.create(self.dialect))


@contextmanager
def spark_engine(folder: Path | str, *, master: str = LOCAL, **config: str) -> Iterator[Engine]:
    """Spark with the views of a lake.

    Args:
        folder: Of the lake.
        master: As Spark names it, such as `local-cluster[2,1,1024]`.
        config: More settings, `spark.` left out and `_` for `.`.

    Raises:
        LakeError: There is no lake, or no Java.
    """
    folder = check_folder(Path(folder))
    statements = lake_statements(folder, Dialect.SPARK)
    _check_java()
    session = _start(master, config)
    gateway = session.sparkContext._gateway
    try:
        register(session, str(folder), ())
        yield _Spark(session, statements)
    finally:
        session.stop()
        # `stop` leaves the process of the driver, and it would stay until this one ends.
        _end(gateway)


def _start(master: str, config: dict[str, str]) -> SparkSession:
    import pyspark

    with warnings.catch_warnings():
        # Of pandas, which is there for others and is not used.
        warnings.filterwarnings("ignore", ".*pandas", FutureWarning)
        from pyspark.sql import SparkSession

    os.environ.setdefault("SPARK_HOME", str(Path(pyspark.__file__).parent))
    os.environ.setdefault("SPARK_LOCAL_IP", "127.0.0.1")
    builder = SparkSession.builder.master(master).appName("retrospan-lake")
    settings = {
        **SETTINGS,
        "spark.driver.host": "127.0.0.1",
        "spark.driver.bindAddress": "127.0.0.1",
        "spark.ui.enabled": "false",
        "spark.ui.showConsoleProgress": "false",
        # What one machine can use; the defaults are those of a cluster with large files.
        "spark.sql.shuffle.partitions": "4",
        "spark.sql.files.openCostInBytes": "65536",
        "spark.sql.sources.parallelPartitionDiscovery.threshold": "10000",
        **{f"spark.{name.replace('_', '.')}": value for name, value in config.items()},
    }
    for name, value in settings.items():
        builder = builder.config(name, value)
    return builder.getOrCreate()


def _check_java() -> None:
    try:
        subprocess.run(["java", "-version"], check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError) as error:
        raise LakeError(
            "Spark needs Java 17; install it, such as with apt-get install openjdk-17-jre-headless"
        ) from error


def _end(gateway: Any) -> None:
    from pyspark import SparkContext

    gateway.shutdown()
    gateway.proc.stdin.close()  # The driver's process ends with its standard input.
    gateway.proc.wait()
    SparkContext._gateway = SparkContext._jvm = None


class _Chdb(Engine):
    dialect = Dialect.CLICKHOUSE

    def __init__(self, session: Any) -> None:
        self._session = session

    def run(self, sql: str) -> Answer:
        data = self.execute(sql, "Arrow")
        if not data:
            return Answer((), [])
        table = pa.ipc.open_file(pa.BufferReader(data)).read_all()
        columns = [_microseconds(column).to_pylist() for column in table.columns]
        return Answer(tuple(table.column_names), list(zip(*columns, strict=True)))

    def execute(self, sql: str, form: str = "CSV") -> bytes:
        """Run a statement; the bytes of its answer."""
        try:
            return bytes(self._session.query(sql, form).bytes())
        except RuntimeError as error:
            raise LakeError(f"ClickHouse refuses it: {str(error).splitlines()[0]}") from error


@contextmanager
def chdb_engine(folder: Path | str) -> Iterator[Engine]:
    """ClickHouse, inside this process, with the views of a lake. One at a time.

    Raises:
        LakeError: There is no lake.
    """
    import chdb.session

    folder = check_folder(Path(folder))
    statements = lake_statements(folder, Dialect.CLICKHOUSE)
    made: Any = chdb.session.Session
    session = made()
    try:
        engine = _Chdb(session)
        for statement in clickhouse_preparation():
            engine.execute(statement)
        for each in statements:
            engine.execute(each.create(Dialect.CLICKHOUSE))
        yield engine
    finally:
        session.close()


def _microseconds(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Times as Python has them."""
    if pa.types.is_timestamp(column.type) and column.type.unit == "ns":
        return column.cast(pa.timestamp("us", column.type.tz), safe=False)
    return column
