"""MCP server of the support desk: knowledge base, orders, refunds, escalation.

Runs as a program of its own and speaks over stdin and stdout. It imports nothing of the example,
so that it starts from its file alone, and answers the same question always the same way.
"""

import hashlib
from typing import TypedDict

from mcp.server.mcpserver import MCPServer
from mcp.server.mcpserver.exceptions import ToolError


class Article(TypedDict):
    """An article of the knowledge base."""

    article_id: str
    title: str
    text: str


class Order(TypedDict):
    """An order; amounts in EUR."""

    order_id: str
    status: str
    item: str
    total: float
    shipping: float


class Refund(TypedDict):
    """A refund that was paid; amount in EUR."""

    refund_id: str
    order_id: str
    amount: float


class Escalation(TypedDict):
    """A ticket handed to the human support team."""

    escalation_id: str
    team: str


ARTICLES: tuple[Article, ...] = (
    {
        "article_id": "KB-12",
        "title": "Late delivery",
        "text": "Look the order up. If it is delayed, give the new date; it is usually 3 days.",
    },
    {
        "article_id": "KB-27",
        "title": "Reset a password",
        "text": "Use 'Forgot password' on the sign-in page. The link is valid for 30 minutes.",
    },
    {
        "article_id": "KB-31",
        "title": "Damaged goods",
        "text": "Refund the order. Refunds above the limit are decided by the support team.",
    },
)

ORDERS: tuple[Order, ...] = (
    {
        "order_id": "A-1001",
        "status": "delayed",
        "item": "desk lamp",
        "total": 39.9,
        "shipping": 4.9,
    },
    {
        "order_id": "A-2002",
        "status": "delivered",
        "item": "espresso machine",
        "total": 480.0,
        "shipping": 9.9,
    },
    {
        "order_id": "A-3003",
        "status": "in transit",
        "item": "headphones",
        "total": 89.0,
        "shipping": 4.9,
    },
    {
        "order_id": "A-4004",
        "status": "delivered",
        "item": "coffee grinder",
        "total": 64.0,
        "shipping": 4.9,
    },
)

server = MCPServer("support-desk", version="1.0", log_level="ERROR")


@server.tool()
def search_kb(query: str) -> list[Article]:
    """Search the knowledge base; returns the articles that share a word with the query."""
    wanted = set(query.lower().split())
    return [a for a in ARTICLES if wanted & set(f"{a['title']} {a['text']}".lower().split())]


@server.tool()
def lookup_order(order_id: str) -> Order:
    """Look up an order by its number."""
    for order in ORDERS:
        if order["order_id"] == order_id:
            return order
    raise ToolError(f"there is no order {order_id}")


@server.tool()
def refund_order(order_id: str, amount: float, shipping: float, reason: str) -> Refund:
    """Refund an amount of an order, of which a part may be its shipping; amounts in EUR."""
    order = lookup_order(order_id)
    if not 0 < amount <= order["total"] + order["shipping"]:
        raise ToolError(f"{amount:g} EUR of order {order_id} cannot be refunded")
    text = f"{order_id}/{amount:.2f}/{shipping:.2f}/{reason}"
    return {"refund_id": f"rf-{_digest(text)}", "order_id": order_id, "amount": amount}


@server.tool()
def escalate_ticket(reason: str) -> Escalation:
    """Hand the ticket to the human support team."""
    return {"escalation_id": f"es-{_digest(reason)}", "team": "support"}


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:8]


if __name__ == "__main__":
    server.run("stdio")
