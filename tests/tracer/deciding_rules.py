"""What `deciding_workflows` asks: a helper module of the workflow's own package."""

from tracer import decision


def needs_review(amount: int, country: str) -> bool:
    if amount > 1000 or country == "XX":
        return True
    return country not in ("FR", "DE")


def route(amount: int) -> str:
    return decision(
        "route",
        "desk" if amount > 1000 else "robot",
        amount=amount,
        api_key="sk-4242",
        whole={"a": 1},
    )
