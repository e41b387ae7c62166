"""KYC review: may this applicant become a customer?

Documents are read by a model under a typed contract, with a second model as fallback. Rules
outrank the models. Low risk is approved automatically; anything else waits for a human, with
escalation and expiry. Every end is written to the audit log with its reason.
"""
