"""The resource types of a shop with a whole catalog: terms, attribute values, media with files, price lists, promotions.

Fields as core's taxonomy, media and file modules, commerce_product, commerce_promotion and commerce_pricelist 2.x declare them.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from middleware.simulators.drupal.resource_types import Field, Kind, Reference, ResourceType

VOCABULARIES = ("category", "tags")
ATTRIBUTES = ("color", "size")
FILE = "file--file"
_STATUS = {"status": Field(Kind.BOOLEAN, True)}
_TIMES = {"created": Field(Kind.TIME), "changed": Field(Kind.TIME, frozen=True)}
_NAMED = {"langcode": Field(Kind.LANGCODE, frozen=True), "name": Field(required=True)}
_LISTED = "commerce_product_variation"
_LINKED = ("commerce_product", "commerce_product_variation", "commerce_product_attribute_value", "media", "taxonomy_term")
_CATALOG = ("administer commerce_product",)


def catalog_types(plain: Iterable[ResourceType], *, linked: bool) -> dict[str, ResourceType]:
    """The types of a plain shop with what a catalog adds to them, by name; `linked` ones have the module's field for outside ids."""
    found = {about.name: about for about in plain}
    for name, (fields, references) in _ADDED.items():
        about = found[name]
        found[name] = replace(about, fields={**about.fields, **fields}, references={**about.references, **references})
    found |= {about.name: about for about in _types()}
    for about in list(found.values()) if linked else ():
        if about.entity_type in _LINKED:
            found[about.name] = replace(about, fields={**about.fields, "waybill_links": Field(Kind.RAW)})
    return found


_ADDED: dict[str, tuple[dict[str, Field], dict[str, Reference]]] = {
    "commerce_product--default": (
        {"field_material": Field(), "field_code": Field()},
        {
            "field_category": Reference(("taxonomy_term--category",), many=True),
            "field_images": Reference(("media--image",), many=True),
        },
    ),
    "commerce_product_variation--default": (
        {"field_weight": Field(Kind.RAW), "field_text": Field(Kind.BODY), "field_ean": Field()},
        {
            "attribute_color": Reference(("commerce_product_attribute_value--color",)),
            "attribute_size": Reference(("commerce_product_attribute_value--size",)),
            "field_images": Reference(("media--image",), many=True),
        },
    ),
}


def _types() -> Iterable[ResourceType]:
    for vocabulary in VOCABULARIES:
        yield _type(
            f"taxonomy_term--{vocabulary}",
            {**_NAMED, **_STATUS, "description": Field(Kind.BODY), "weight": Field(Kind.INTEGER, 0), **_TIMES},
            {"parent": Reference((f"taxonomy_term--{vocabulary}",), many=True)},
            translatable=True,
        )
    for attribute in ATTRIBUTES:
        yield _type(
            f"commerce_product_attribute_value--{attribute}",
            {**_NAMED, "weight": Field(Kind.INTEGER, 0), **_TIMES},
            {},
            translatable=True,
        )
    yield _type("media--image", {**_NAMED, **_STATUS, **_TIMES}, {"field_media_image": Reference((FILE,), required=True)})
    yield _type(FILE, {"filename": Field(), "uri": Field(Kind.RAW), "filemime": Field(), "filesize": Field(Kind.INTEGER)}, {})
    yield from _prices()
    yield ResourceType(
        "user_role--user_role",
        {"label": Field()},
        {},
        id_field="drupal_internal__id",
        config=True,
        forbidden=frozenset({"view"}),  # without the right to administer permissions it is only named among what was left out
    )


def _prices() -> Iterable[ResourceType]:
    stores = {"stores": Reference(("commerce_store--online",), many=True, required=True)}
    window = {"start_date": Field(Kind.DATETIME), "end_date": Field(Kind.DATETIME)}
    yield _type(
        f"commerce_pricelist--{_LISTED}",
        {**_NAMED, "name": Field(required=True, longest=50), **window, **_STATUS, "weight": Field(Kind.INTEGER, 0)},
        {**stores, "customer_roles": Reference(("user_role--user_role",), many=True)},
    )
    yield _type(
        f"commerce_pricelist_item--{_LISTED}",
        {"quantity": Field(default="1"), "price": Field(Kind.PRICE, required=True), "list_price": Field(Kind.PRICE), **_STATUS},
        {
            "price_list_id": Reference((f"commerce_pricelist--{_LISTED}",), required=True),
            "purchasable_entity": Reference(("commerce_product_variation--default",), required=True),
        },
    )
    yield _type(
        "commerce_promotion--commerce_promotion",
        {**_NAMED, **window, **_STATUS, "display_name": Field(), "offer": Field(Kind.RAW, required=True), "conditions": Field(Kind.RAW)},
        {**stores, "order_types": Reference(("commerce_order_type--commerce_order_type",), many=True, required=True)},
    )


def _type(name: str, fields: dict[str, Field], references: dict[str, Reference], *, translatable: bool = False) -> ResourceType:
    permissions = dict.fromkeys(("create", "update", "delete"), _CATALOG)
    return ResourceType(name, fields, references, id_field="drupal_internal__id", translatable=translatable, permissions=permissions)
