"""The warehouse: histories and spans in one DuckDB file, and what can be asked of it.

Import the module that you need: this package imports nothing by itself, so that a command pays only
for what it uses.
"""
