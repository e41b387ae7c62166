"""The views of a lake on Spark; also the script that a cluster runs.

It needs pyspark and what `retrospan lake views --dialect spark` wrote, nothing else of Retrospan:

    spark-submit spark_job.py s3a://bucket/lake --sql "SELECT * FROM mart_cost_by_model"

The manifest of the lake says which files to read, so that an export that is at work is not seen.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

_STORED = {
    "VARCHAR": "STRING",
    "JSON": "STRING",
    "BLOB": "BINARY",
    "INTEGER": "INT",
    "UBIGINT": "DECIMAL(20, 0)",
    "TIMESTAMP": "TIMESTAMP_NTZ",
    "TIMESTAMP_NS": "BIGINT",
}
"""What Spark reads from files for types of the warehouse that have another name there."""

SETTINGS = {"spark.sql.session.timeZone": "UTC"}
"""What the views need of a session; it can be set on one that is running."""


def files_view(table: str) -> str:
    """The temporary view of a table's files, which the view of the table is made from."""
    return f"{table.replace('.', '_')}_files"


def register(spark: SparkSession, lake: str, statements: Iterable[str]) -> None:
    """Make the views of a lake known to a session.

    Args:
        spark: The session.
        lake: The folder or the URL of the lake, as Spark reads it.
        statements: The views' SQL, in order.
    """
    for name, value in SETTINGS.items():
        spark.conf.set(name, value)
    (text,) = spark.read.text(f"{lake}/manifest.json", wholetext=True).collect()
    manifest = json.loads(text[0])
    for table in manifest["tables"]:
        files = [f"{lake}/{f['path']}" for part in table["partitions"] for f in part["files"]]
        # Without the schema, Spark would start a job per table to find it out.
        read = spark.read.schema(_schema(table["columns"]))
        read.parquet(*files).createOrReplaceTempView(files_view(table["name"]))
    for statement in statements:
        spark.sql(statement)


def _schema(columns: Iterable[dict[str, str]]) -> str:
    kinds = ((column["name"], column["type"]) for column in columns)
    return ", ".join(f"`{name}` {_STORED.get(kind, kind)}" for name, kind in kinds)


def answer(spark: SparkSession, arguments: argparse.Namespace) -> DataFrame:
    """What was asked for on the command line."""
    folder = Path(arguments.views)
    statements = [file.read_text("utf-8") for file in sorted(folder.glob("*.sql"))]
    register(spark, arguments.lake.rstrip("/"), statements)
    return spark.sql(arguments.sql)


def main() -> None:
    """Run one query and print its rows as JSON, or write them as Parquet."""
    from pyspark.sql import SparkSession

    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("lake", help="folder or URL of the lake")
    parser.add_argument("--views", default=Path(__file__).parent, help="folder with the views")
    parser.add_argument("--sql", required=True, help="query in Spark's SQL, on mart_… and core_…")
    parser.add_argument("--out", help="write Parquet here instead of printing")
    arguments = parser.parse_args()
    spark = SparkSession.builder.appName("retrospan-lake").getOrCreate()
    try:
        rows = answer(spark, arguments)
        if arguments.out:
            rows.write.mode("overwrite").parquet(arguments.out)
        else:
            for row in rows.toJSON().toLocalIterator():
                print(row)
    finally:
        spark.stop()


if __name__ == "__main__":
    main()
