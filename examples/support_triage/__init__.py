"""Support triage: an agent that works on a customer's ticket with tools.

A model and its tools take turns. The tools live in a real MCP server, spoken to over stdio. A
policy in the workflow stands between the model and the tools that move money. The agent may ask
the customer and wait for the answer, and a long conversation goes on in a new run.
"""
