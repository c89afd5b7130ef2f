"""Tables of every kind of thing: terms, attribute values, media, translations, measurements, taxes, price lists."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from mappings.table_files import TableMistake, read
from mappings.tables import Table, apply
from mappings.units import converted, unit_of
from mappings.wanted import Of, Reject, Thing, Wanted

HEAD = {"connection": "pim", "kind": "products", "shop": "shop", "sku": "sku"}


def table(*fields: dict[str, Any], **more: Any) -> Table:
    return read("catalog", {**HEAD, "fields": list(fields), **more})


def wanted(found: Wanted | Reject | None) -> Wanted:
    assert isinstance(found, Wanted), found
    return found


def variation_fields(of: Table, **record: Any) -> Any:
    return wanted(apply(of, {"sku": "S1", **record})).main.fields


def test_a_category_refers_to_its_parent() -> None:
    categories = read(
        "categories",
        {
            "connection": "pim",
            "kind": "categories",
            "shop": "shop",
            "of": "term",
            "bundle": "category",
            "key": "code",
            "language": "en",
            "locales": {"en": ["en_US", "en_GB"], "de": ["de_DE"]},
            "fields": [
                {"to": "name", "from": "labels", "localized": True, "required": True},
                {"to": "parent", "from": "parent", "type": "reference", "refers": "term/category"},
            ],
        },
    )
    found = wanted(apply(categories, {"code": "shirts", "parent": "men", "labels": {"en_GB": "Shirts", "de_DE": "Hemden"}}))
    fields = {"name": "Shirts", "parent": {"@refs": ["term/category/men"], "many": False}}
    translation = Thing(Of.TRANSLATION, "term/category/shirts@de", {"name": "Hemden"}, "category", "term/category/shirts", on_gone="delete")
    assert found == Wanted(Thing(Of.TERM, "category/shirts", fields, "category"), (translation,))
    assert apply(categories, {"code": "x", "labels": {"fr_FR": "Chemises"}}) == Reject("labels", "is missing")


def test_a_value_per_locale_needs_the_locales() -> None:
    with pytest.raises(TableMistake, match="locales: expected the source's locales of 'en', the shop's own language"):
        table({"to": "field_text", "from": "text", "localized": True})


def test_what_a_reference_names_can_be_made_with_it() -> None:
    colours = table(
        {"to": "attribute_color", "from": "color", "type": "reference", "refers": "attribute_value/color", "create": True},
        {"to": "field_tags", "from": "tags", "type": "reference", "refers": "term/tags", "many": True},
    )
    found = wanted(apply(colours, {"sku": "S1", "color": "red", "tags": ["new", "sale"]}))
    assert found.main.fields == {
        "attribute_color": {"@refs": ["attribute_value/color/red"], "many": False},
        "field_tags": {"@refs": ["term/tags/new", "term/tags/sale"], "many": True},
    }
    assert found.others == (Thing(Of.ATTRIBUTE_VALUE, "color/red", {"name": "red"}, "color", on_gone="keep"),)
    emptied = wanted(apply(colours, {"sku": "S1", "color": "red", "tags": []}))
    assert emptied.main.fields["field_tags"] == {"@refs": [], "many": True}


def test_pictures_are_media_with_their_file() -> None:
    pictures = table({"to": "field_images", "from": "images", "type": "media", "many": True})
    found = wanted(apply(pictures, {"sku": "S1", "images": ["a/b/front.jpg"]}))
    fields = {"name": "front.jpg", "field_media_image": {"@file": "a/b/front.jpg", "from": "pim"}}
    assert found.others == (Thing(Of.MEDIA, "image/a/b/front.jpg", fields, "image"),)
    assert found.main.fields == {"field_images": {"@refs": ["media/image/a/b/front.jpg"], "many": True}}


def test_a_product_has_its_own_translations() -> None:
    titles = table(
        {"to": "title", "from": "name", "of": "product", "localized": True, "required": True},
        locales={"en": ["en_US"], "de": ["de_DE"]},
        product="parent",
    )
    found = wanted(apply(titles, {"sku": "S1", "parent": "shirt", "name": {"en_US": "Shirt", "de_DE": "Hemd"}}))
    product = Thing(Of.PRODUCT, "shirt", {"title": "Shirt"})
    translation = Thing(Of.TRANSLATION, "product/shirt@de", {"title": "Hemd"}, parent="product/shirt", on_gone="delete")
    assert found == Wanted(Thing(Of.VARIATION, "S1", {}, parent="shirt"), (product, translation))


def test_a_bundle_can_depend_on_the_record() -> None:
    families = table(
        {"to": "field_text", "from": "text"},
        makes=True,
        product="sku",
        variation_type={"from": "family", "options": {"tshirt": "clothing"}, "default": "default"},
    )
    assert wanted(apply(families, {"sku": "S1", "family": "tshirt", "text": "x"})).main.bundle == "clothing"
    assert wanted(apply(families, {"sku": "S1", "family": "mug", "text": "x"})).main.bundle == "default"


def test_what_is_not_for_the_shop_is_left_out() -> None:
    active = table({"to": "field_text", "from": "text"}, where="active")
    assert apply(active, {"sku": "S1", "active": False}) is None
    assert wanted(apply(active, {"sku": "S1", "active": True, "text": "x"})).main.key == "S1"


@pytest.mark.parametrize(
    ("rule", "record", "value"),
    [
        ({"type": "html", "format": "full_html"}, "<b>x</b>", {"value": "<b>x</b>", "format": "full_html"}),
        ({"type": "measurement", "unit": "kg"}, {"amount": "800.0000", "unit": "GRAM"}, {"number": "0.8", "unit": "kg"}),
        ({"type": "measurement"}, {"amount": Decimal(2), "unit": "Inches"}, {"number": "2", "unit": "in"}),
        ({"type": "date"}, "2026-11-30", "2026-11-30"),
        ({"type": "date"}, "2026-11-30T10:00:00Z", "2026-11-30T10:00:00+00:00"),
        ({"type": "json"}, {"percentage": Decimal("0.10")}, {"percentage": "0.10"}),
        ({"many": True}, ["a", "b"], ["a", "b"]),
    ],
)
def test_values_as_the_shop_takes_them(rule: dict[str, Any], record: Any, value: Any) -> None:
    assert variation_fields(table({"to": "f", "from": "v", **rule}), v=record) == {"f": value}


@pytest.mark.parametrize(
    ("rule", "record", "reason"),
    [
        ({"type": "measurement", "unit": "kg"}, {"amount": "8", "unit": "PARSEC"}, "v has no known unit: PARSEC"),
        ({"type": "measurement", "unit": "kg"}, {"amount": "8", "unit": "meter"}, "v cannot be told in kg: meter"),
        ({"type": "date"}, "tomorrow", "v is no date: tomorrow"),
        ({"type": "date"}, "2026-11-30T10:00:00", "v is a time without its zone: 2026-11-30T10:00:00"),
        ({"type": "reference", "refers": "term/tags"}, {"a": 1}, "v is no code: {'a': 1}"),
        ({"type": "json"}, {"a": object()}, "v is no JSON"),
        ({"localized": True}, "plain", "v is not one value per locale: plain"),
    ],
)
def test_values_that_cannot_be_had(rule: dict[str, Any], record: Any, reason: str) -> None:
    found = apply(table({"to": "f", "from": "v", **rule}, locales={"en": ["en"]}), {"sku": "S1", "v": record})
    assert str(found) == reason


@pytest.mark.parametrize(
    ("want", "included", "rounding", "number"),
    [
        ("excluded", True, "half_up", "16.72"),
        ("included", False, "half_up", "23.68"),
        ("included", True, "", "19.9"),
        ("excluded", False, "", "19.9"),
        ("excluded", True, "down", "16.72"),
        ("included", False, "ceiling", "23.69"),
    ],
)
def test_tax_is_taken_out_or_put_in_and_rounded_by_the_declared_rule(want: str, included: bool, rounding: str, number: str) -> None:
    tax = {"want": want, "included": included, "rate": "class", "rates": {"standard": "0.19"}}
    rule = {"to": "price", "from": "p", "type": "price", "currency": "'EUR'", "tax": tax, **({"round": rounding} if rounding else {})}
    assert variation_fields(table(rule), p="19.90", **{"class": "standard"}) == {"price": {"number": number, "currency_code": "EUR"}}


def test_a_tax_class_that_nobody_knows_is_a_reason() -> None:
    tax = {"want": "excluded", "included": "gross", "rate": "class", "rates": {"standard": "0.19"}}
    of = table({"to": "price", "from": "p", "type": "price", "currency": "'EUR'", "tax": tax, "round": "half_up"})
    assert str(apply(of, {"sku": "S1", "p": "1", "gross": True, "class": "luxury"})) == "class is no known tax class: luxury"
    assert str(apply(of, {"sku": "S1", "p": "1", "class": "standard"})) == "gross does not say whether the price holds the tax"


PRICES = [
    {"list": "", "group": "", "currency": "EUR", "amount": Decimal("19.90"), "min_quantity": Decimal(1)},
    {"list": "", "group": "", "currency": "EUR", "amount": Decimal("17.90"), "min_quantity": Decimal(10)},
    {"list": "vip", "group": "dealers", "currency": "EUR", "amount": Decimal(15), "valid_from": "2026-12-01", "valid_to": "2026-12-24"},
]


def listed(**more: Any) -> Table:
    return read("prices", {**HEAD, "kind": "prices", "price_lists": {"from": "prices", "names": {"vip": "VIP"}, **more}})


def test_tiers_groups_and_windows_become_price_lists() -> None:
    found = wanted(apply(listed(roles={"dealers": "wholesale"}), {"sku": "S1", "prices": PRICES}))
    assert [(one.of, one.key, dict(one.fields)) for one in found.others if one.of is Of.PRICE_LIST] == [
        (Of.PRICE_LIST, "tiers", {"name": "Tier prices", "weight": 0}),
        (
            Of.PRICE_LIST,
            "vip|dealers|2026-12-01|2026-12-24",
            {
                "name": "VIP, dealers, 2026-12-01–2026-12-24",
                "weight": -3,
                "customer_roles": {"@configured": ["user_role", "wholesale"], "many": True},
                "start_date": "2026-12-01",
                "end_date": "2026-12-24",
            },
        ),
    ]
    assert [(one.fields["quantity"], one.fields["price"]["number"]) for one in found.others if one.of is Of.PRICE_LIST_ENTRY] == [
        ("10", "17.9"),
        ("1", "15"),
    ]


@pytest.mark.parametrize(
    ("price", "reason"),
    [
        ({"currency": "EUR", "amount": "1", "group": "dealers"}, "prices[0].group is no known customer group: dealers"),
        ({"currency": "euro", "amount": "1", "list": "x"}, "prices[0].currency is no currency code: euro"),
        ({"currency": "EUR", "amount": "-1", "list": "x"}, "prices[0].amount is negative: -1"),
        ({"currency": "EUR", "amount": "1", "min_quantity": "-2"}, "prices[0].min_quantity is not above zero: -2"),
        (
            {"currency": "EUR", "amount": "1", "valid_from": "2026-02-01", "valid_to": "2026-01-01"},
            "prices[0].valid_to is before valid_from: 2026-01-01",
        ),
    ],
)
def test_a_price_that_no_list_can_hold_is_refused(price: dict[str, Any], reason: str) -> None:
    prices = [{**price, "list": price.get("list", "x")}]
    assert str(apply(listed(roles={"vip": "x"}), {"sku": "S1", "prices": prices})) == reason


def test_a_sum_of_a_table_is_exact() -> None:
    total = table({"to": "field_stock", "from": "total(places[*].n)", "type": "decimal"})
    assert variation_fields(total, places=[{"n": Decimal("0.1")}, {"n": Decimal("0.2")}]) == {"field_stock": "0.3"}


def test_units_are_converted_exactly() -> None:
    assert converted(Decimal(1), "lb", "g") == Decimal("453.59237")
    assert [unit_of(one) for one in ("KILOGRAM", "Inches", "feet", "lbs", "m", "parsec")] == ["kg", "in", "ft", "lb", "m", ""]


def test_a_long_name_of_a_list_fits_the_shop_and_stays_unlike_others() -> None:
    prices = [{"list": f"{'x' * 60}{end}", "currency": "EUR", "amount": "1"} for end in "ab"]
    found = wanted(apply(listed(), {"sku": "S1", "prices": prices}))
    names = [one.fields["name"] for one in found.others if one.of is Of.PRICE_LIST]
    assert [len(name) for name in names] == [50, 50]
    assert len(set(names)) == 2
