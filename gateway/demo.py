"""The bank of the demo: a small table behind a tool of kind `python`.

`config.example.toml` names the function as `gateway.demo:get_outstanding_balance`. It shows what
such a tool is: an ordinary function that is called with the model's arguments by name and returns
what JSON can hold. A real one would ask a database, and know the customer from the session.
"""

from __future__ import annotations

from decimal import Decimal

_ACCOUNTS: dict[str, tuple[str, Decimal, Decimal, str]] = {
    "4821": ("Travel Platinum", Decimal("1284.50"), Decimal("35.00"), "the 28th of this month"),
    "7730": ("Everyday Cashback", Decimal("212.07"), Decimal("25.00"), "the 3rd of next month"),
    "9016": ("Business Gold", Decimal("0.00"), Decimal("0.00"), "the 15th of next month"),
}
"""Last four digits -> name of the card, balance and minimum payment in USD, when it is due."""

FIRST_CARD = "4821"


def get_outstanding_balance(card: str = FIRST_CARD) -> dict[str, str]:
    """What is owed on a card, by its last four digits; `error` for a card that is not there.

    >>> get_outstanding_balance()["balance"], get_outstanding_balance("7730")["card_name"]
    ('$1,284.50', 'Everyday Cashback')
    """
    if card not in _ACCOUNTS:
        return {"error": f"no card ends in {card}; the demo knows {', '.join(_ACCOUNTS)}"}
    name, balance, minimum, due = _ACCOUNTS[card]
    return {
        "card": card,
        "card_name": name,
        "balance": f"${balance:,}",
        "minimum_payment": f"${minimum:,}",
        "due": due,
    }
