"""Workflows that look like the ones people run in production.

They know nothing of Retrospan: they are what a user's own code looks like, and must run the same
with and without it.

* `examples.kyc_review`: documents read by a model, rules that outrank it, a human approval.
* `examples.cargo_release`: child workflows, rate-limited customs calls, compensation.
* `examples.support_triage`: an agent loop over a real MCP server, with a policy on its tools.
* `examples.model_server`: the local OpenAI-compatible API that their model calls go to.

Each has a healthy workflow (`workflow.py`) and a faulty one (`workflow_faulty.py`) that differ in
one line, and scenarios that drive one run each to a known end.
"""
