"""The lake: the warehouse as Parquet files, for engines that run on more than one machine.

`export` writes it, `reader` opens it with DuckDB, `translation` turns views into SQL of Spark
and ClickHouse. Import the module that you need: Spark and ClickHouse are only loaded to run them.
"""
