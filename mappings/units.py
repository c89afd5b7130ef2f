"""Units of measure: the words that sources use, and exact factors between those of one quantity.

Codes of the shop: Drupal's physical module (g, kg, lb, oz, mm, cm, m, in, ft, ml, l). Factors: NIST SP 811, appendix B.
"""

from __future__ import annotations

from decimal import Decimal

MASS = {"mg": "0.001", "g": "1", "kg": "1000", "t": "1000000", "oz": "28.349523125", "lb": "453.59237"}
LENGTH = {"mm": "0.001", "cm": "0.01", "dm": "0.1", "m": "1", "km": "1000", "in": "0.0254", "ft": "0.3048", "yd": "0.9144"}
VOLUME = {"ml": "0.001", "cl": "0.01", "dl": "0.1", "l": "1", "m3": "1000", "gal": "3.785411784"}
QUANTITIES = [{unit: Decimal(factor) for unit, factor in quantity.items()} for quantity in (MASS, LENGTH, VOLUME)]

WORDS = {
    **{"milligram": "mg", "gram": "g", "kilogram": "kg", "ton": "t", "ounce": "oz", "pound": "lb", "kilo": "kg", "gr": "g", "lbs": "lb"},
    **{
        "millimeter": "mm",
        "centimeter": "cm",
        "decimeter": "dm",
        "meter": "m",
        "kilometer": "km",
        "inch": "in",
        "feet": "ft",
        "foot": "ft",
    },
    **{"inch": "in", "inche": "in", "feet": "ft", "foot": "ft", "yard": "yd"},
    **{"milliliter": "ml", "centiliter": "cl", "deciliter": "dl", "liter": "l", "cubic_meter": "m3", "gallon": "gal"},
}
"""Other words for a unit, in lower case and the singular (https://api.akeneo.com/concepts/products.html, metric values)."""


def unit_of(word: str) -> str:
    """The unit that a word means, "" when none does."""
    plain = word.strip().lower()
    for found in (plain, plain.removesuffix("s")):
        code = WORDS.get(found, found)
        if any(code in quantity for quantity in QUANTITIES):
            return code
    return ""


def converted(amount: Decimal, unit: str, into: str) -> Decimal | None:
    """An amount in another unit, exactly; None when the two measure different things."""
    for quantity in QUANTITIES:
        if unit in quantity and into in quantity:
            return amount * quantity[unit] / quantity[into]
    return None
