"""The demo's catalog: a PIM with models, variants, languages and pictures, an ERP with prices and stock, one of them dirty on purpose."""

from __future__ import annotations

import hashlib
import struct
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from middleware.simulators.akeneo import AkeneoSimulator
from middleware.simulators.akeneo_catalog import value
from middleware.simulators.erp_articles import Articles

TABLES = Path(__file__).parent / "tables"
COLORS = {"red": "Rot", "blue": "Blau", "green": "Grün"}
SIZES = ("s", "m", "l")
CATEGORIES = {
    "clothing": (None, "Clothing", "Kleidung"),
    "shirts": ("clothing", "Shirts", "Hemden"),
    "trousers": ("clothing", "Trousers", "Hosen"),
}
FAMILIES = {
    "shirt": ("Shirt", "Hemd", "shirts"),
    "chinos": ("Chinos", "Chinohose", "trousers"),
    "polo": ("Polo shirt", "Polohemd", "shirts"),
}
DIRTY = ("SHIRT-RED-XXL", "POLO-BLUE-S", "GHOST-1")
"""An option that nobody defined, a negative price, a price of nothing."""


def fill_pim(pim: AkeneoSimulator) -> None:
    """Categories, axes, models with their variants, and one variant whose size is no option."""
    catalog = pim.catalog
    catalog.put("channels", "shop", labels={})
    for code, (parent, english, german) in CATEGORIES.items():
        catalog.put("categories", code, parent=parent, labels={"en_US": english, "de_DE": german})
    for attribute in ("color", "size"):
        catalog.put("attributes", attribute, type="pim_catalog_simpleselect", labels={})
    for color, german in COLORS.items():
        catalog.put_option("color", color, en_US=color.title(), de_DE=german)
    for size in SIZES:
        catalog.put_option("size", size, en_US=size.upper())
    for code, (english, german, category) in FAMILIES.items():
        _add_family(pim, code, english, german, category)
    axes = {"color": [value("red")], "size": [value("xxl")]}
    catalog.add_product("SHIRT-RED-XXL", parent="shirt", values=axes, family="clothing")


def _add_family(pim: AkeneoSimulator, code: str, english: str, german: str, category: str) -> None:
    digest = hashlib.sha256(code.encode())
    picture = f"f/r/o/n/{digest.hexdigest()[:8]}_{code}.png"
    pim.catalog.media[picture] = _square(digest.digest()[:3])
    texts = {
        "name": [value(english, locale="en_US"), value(german, locale="de_DE")],
        "description": [value(f"<p>{english}, woven in the demo.</p>", locale="en_US")],
        "picture": [value(picture)],
    }
    pim.catalog.add_model(code, family="clothing", family_variant="by_color_size", categories=[category], values=texts)
    for color in COLORS:
        for size in SIZES:
            weight = [value({"amount": "180.0000", "unit": "GRAM", "symbol": "g"})]
            axes = {"color": [value(color)], "size": [value(size)], "weight": weight}
            pim.catalog.add_product(sku(code, color, size), parent=code, values=axes, family="clothing")


def _square(color: bytes, side: int = 32) -> bytes:
    """A PNG of one color: a shop takes no file as a picture that is none."""

    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    header = struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
    lines = zlib.compress((b"\0" + color * side) * side)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", lines) + chunk(b"IEND", b"")


def fill_erp(articles: Articles) -> None:
    """Net prices with a tier and a dealers' price, stock in two warehouses; one price is negative, one is of nothing."""
    for number, one in enumerate(skus()):
        articles.put(one, prices=prices(f"{10 + number}.00"), stock={"main": str(number), "north": "5"})
    articles.put("POLO-BLUE-S", prices=prices("-1.00"))
    articles.put("GHOST-1", prices=prices("9.00"), stock={"main": "1"})


def prices(base: str) -> list[dict[str, Any]]:
    """The prices of an article: its own, from ten pieces on, and for dealers in December."""
    plain = {"currency": "EUR", "amount": base, "tax_included": False}
    tier = {**plain, "min_quantity": "10"}
    dealers = {**plain, "list": "winter", "group": "dealers", "valid_from": "2026-12-01", "valid_to": "2026-12-31"}
    return [plain, tier, dealers]


def sku(code: str, color: str, size: str) -> str:
    return f"{code}-{color}-{size}".upper()


def skus() -> Sequence[str]:
    """Every variant that is not dirty."""
    return [sku(code, color, size) for code in FAMILIES for color in COLORS for size in SIZES]
