"""The JSON:API resource types of the simulated site: their fields, references and who may do what."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum


class Kind(StrEnum):
    """How a field is stored, checked and shown."""

    TEXT = "text"
    MAIL = "mail"
    BOOLEAN = "boolean"
    INTEGER = "integer"
    TIME = "time"  # stored as unix seconds, shown as RFC 3339
    DATETIME = "datetime"  # as time, and refused when it is written otherwise
    PRICE = "price"  # stored as number (text) and currency_code, shown with `formatted`
    ADJUSTMENTS = "adjustments"
    BODY = "body"
    STATE = "state"
    LANGCODE = "langcode"
    IS_DEFAULT_LANGUAGE = "is default language"
    PATH = "path"
    REVISION = "revision"
    RAW = "raw"


@dataclass(frozen=True, slots=True)
class Field:
    """One attribute. A `frozen` one cannot be changed by PATCH, a `generated` one ignores what is written; a text
    has at most `longest` characters (0: any number)."""

    kind: Kind = Kind.TEXT
    default: object = None
    required: bool = False
    frozen: bool = False
    generated: bool = False
    longest: int = 0


@dataclass(frozen=True, slots=True)
class Reference:
    """One relationship to resources of the first of `targets`, or of any of them."""

    targets: tuple[str, ...]
    many: bool = False
    required: bool = False
    frozen: bool = False


@dataclass(frozen=True, slots=True)
class ResourceType:
    """`name` is `entity_type--bundle`; `permissions` are what each operation needs, any of them (none: public)."""

    name: str
    fields: Mapping[str, Field]
    references: Mapping[str, Reference]
    id_field: str = ""
    translatable: bool = False
    revisionable: bool = False
    config: bool = False
    permissions: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    forbidden: frozenset[str] = frozenset()

    @property
    def entity_type(self) -> str:
        return self.name.split("--")[0]

    @property
    def bundle(self) -> str:
        return self.name.split("--")[1]

    @property
    def path(self) -> str:
        return self.name.replace("--", "/")

    @property
    def validated(self) -> list[str]:
        """The names of what is validated, in the order in which Drupal reports violations."""
        references = [name for name, reference in self.references.items() if reference.required]
        return [*references[:1], *self.fields, *references[1:]]


_TRANSLATION = {
    "default_langcode": Field(Kind.IS_DEFAULT_LANGUAGE, frozen=True),
    "content_translation_source": Field(default="und", frozen=True),
    "content_translation_outdated": Field(Kind.BOOLEAN, False),
}
_LANGCODE = {"langcode": Field(Kind.LANGCODE, frozen=True)}
_STATUS = {"status": Field(Kind.BOOLEAN, True)}
_TIMES = {"created": Field(Kind.TIME), "changed": Field(Kind.TIME, frozen=True)}
_USER = Reference(("user--user",))


def _bundle_of(entity_type: str) -> Reference:
    return Reference((f"{entity_type}--{entity_type}",), frozen=True)


def resource_types(order_fields: Iterable[str] = ()) -> dict[str, ResourceType]:
    """All types by name; `order_fields` are text fields that the merchant added to orders."""
    sold = (_product(), _variation(), _store(), _order(order_fields), _order_item(), _profile())
    return {found.name: found for found in (*sold, _payment("default"), _payment("manual"), _user(), *_config())}


def _product() -> ResourceType:
    manage = ("administer commerce_product", "manage default commerce_product")
    return ResourceType(
        "commerce_product--default",
        {
            **_LANGCODE,
            **_STATUS,
            "title": Field(required=True),
            "path": Field(Kind.PATH),
            **_TIMES,
            **_TRANSLATION,
            "body": Field(Kind.BODY),
        },
        {
            "commerce_product_type": _bundle_of("commerce_product_type"),
            "uid": _USER,
            "stores": Reference(("commerce_store--online",), many=True, required=True),
            "variations": Reference(("commerce_product_variation--default",), many=True, required=True),
            "default_variation": Reference(("commerce_product_variation--default",), frozen=True),
        },
        id_field="drupal_internal__product_id",
        translatable=True,
        permissions=dict.fromkeys(("create", "update", "delete"), manage),
    )


def _variation() -> ResourceType:
    manage = ("administer commerce_product", "manage default commerce_product_variation")
    return ResourceType(
        "commerce_product_variation--default",
        {
            **_LANGCODE,
            **_STATUS,
            "sku": Field(required=True),
            "title": Field(generated=True),
            "list_price": Field(Kind.PRICE),
            "price": Field(Kind.PRICE, required=True),
            **_TIMES,
            **_TRANSLATION,
            "field_stock": Field(Kind.INTEGER),
        },
        {
            "commerce_product_variation_type": _bundle_of("commerce_product_variation_type"),
            "uid": _USER,
            "product_id": Reference(("commerce_product--default",)),
        },
        id_field="drupal_internal__variation_id",
        translatable=True,
        permissions=dict.fromkeys(("create", "update", "delete"), manage),
    )


def _store() -> ResourceType:
    return ResourceType(
        "commerce_store--online",
        {
            **_LANGCODE,
            **_STATUS,
            **dict.fromkeys(("name", "mail", "timezone"), Field()),
            **dict.fromkeys(("address", "billing_countries"), Field(Kind.RAW)),
            "path": Field(Kind.PATH),
            "is_default": Field(Kind.BOOLEAN, True),
            **_TIMES,
            "default_langcode": Field(Kind.IS_DEFAULT_LANGUAGE, frozen=True),
            "prices_include_tax": Field(Kind.BOOLEAN, False),
            "tax_registrations": Field(Kind.RAW, ()),
        },
        {
            "commerce_store_type": _bundle_of("commerce_store_type"),
            "uid": _USER,
            "default_currency": Reference(("commerce_currency--commerce_currency",)),
        },
        id_field="drupal_internal__store_id",
        permissions=dict.fromkeys(("create", "update", "delete"), ("administer commerce_store",)),
    )


def _order(order_fields: Iterable[str]) -> ResourceType:
    return ResourceType(
        "commerce_order--default",
        {
            "order_number": Field(),
            "version": Field(Kind.INTEGER, 0),
            "mail": Field(Kind.MAIL),
            "ip_address": Field(default="127.0.0.1"),
            "adjustments": Field(Kind.ADJUSTMENTS, ()),
            **dict.fromkeys(("total_price", "total_paid", "balance"), Field(Kind.PRICE)),
            "state": Field(Kind.STATE, "draft"),
            "data": Field(Kind.RAW),
            "locked": Field(Kind.BOOLEAN, False),
            **_TIMES,
            **dict.fromkeys(("placed", "completed"), Field(Kind.TIME)),
            "customer_comments": Field(),
            "cart": Field(Kind.BOOLEAN, False),
            "checkout_step": Field(),
            **dict.fromkeys(order_fields, Field()),
        },
        {
            "commerce_order_type": _bundle_of("commerce_order_type"),
            "store_id": Reference(("commerce_store--online",)),
            "uid": _USER,
            "billing_profile": Reference(("profile--customer",)),
            "order_items": Reference(("commerce_order_item--default",), many=True),
            "checkout_flow": Reference(("commerce_checkout_flow--commerce_checkout_flow",)),
            "payment_gateway": Reference(("commerce_payment_gateway--commerce_payment_gateway",)),
            "payment_method": Reference(("commerce_payment_method--credit_card",)),
            "coupons": Reference(("commerce_promotion_coupon--commerce_promotion_coupon",), many=True),
        },
        id_field="drupal_internal__order_id",
        permissions={
            "view": ("view commerce_order", "view default commerce_order"),
            "create": ("administer commerce_order", "create commerce_order", "create default commerce_order"),
            "update": ("update commerce_order", "update default commerce_order"),
            "delete": ("delete commerce_order", "delete default commerce_order"),
        },
    )


def _order_item() -> ResourceType:
    manage = ("administer commerce_order", "manage default commerce_order_item")
    return ResourceType(
        "commerce_order_item--default",
        {
            "title": Field(),
            "overridden_title": Field(Kind.BOOLEAN, False),
            "quantity": Field(default="1.00"),
            "unit_price": Field(Kind.PRICE),
            "overridden_unit_price": Field(Kind.BOOLEAN, False),
            "total_price": Field(Kind.PRICE),
            "adjustments": Field(Kind.ADJUSTMENTS, ()),
            "uses_legacy_adjustments": Field(Kind.BOOLEAN, False),
            "data": Field(Kind.RAW),
            "locked": Field(Kind.BOOLEAN, False),
            **_TIMES,
        },
        {
            "commerce_order_item_type": _bundle_of("commerce_order_item_type"),
            "order_id": Reference(("commerce_order--default",)),
            "purchased_entity": Reference(("commerce_product_variation--default",)),
        },
        id_field="drupal_internal__order_item_id",
        permissions={
            "view": ("view commerce_order", "view default commerce_order"),
            **dict.fromkeys(("create", "update", "delete"), manage),
        },
    )


def _profile() -> ResourceType:
    return ResourceType(
        "profile--customer",
        {
            "drupal_internal__revision_id": Field(Kind.REVISION, frozen=True),
            "revision_created": Field(Kind.TIME),
            **_STATUS,
            "is_default": Field(Kind.BOOLEAN, False),
            "data": Field(Kind.RAW),
            **_TIMES,
            "address": Field(Kind.RAW),
            "tax_number": Field(),
        },
        {"profile_type": _bundle_of("profile_type"), "revision_user": _USER, "uid": _USER},
        id_field="drupal_internal__profile_id",
        revisionable=True,
        permissions=dict.fromkeys(("view", "create", "update", "delete"), ("administer profile",)),
    )


def _payment(kind: str) -> ResourceType:
    return ResourceType(
        f"commerce_payment--payment_{kind}",
        {
            "commerce_payment_type": Field(default=f"payment_{kind}", frozen=True),
            "payment_gateway_mode": Field(required=True),
            **dict.fromkeys(("remote_id", "remote_state"), Field()),
            "amount": Field(Kind.PRICE, required=True),
            "refunded_amount": Field(Kind.PRICE),
            "state": Field(default="new"),
            "authorized": Field(Kind.TIME),
            "expires": Field(Kind.TIME, 0),
            "completed": Field(Kind.TIME),
            **dict.fromkeys(("avs_response_code", "avs_response_code_label"), Field()),
            "test": Field(Kind.RAW),
            "captured": Field(Kind.TIME),
            **_TIMES,
        },
        {
            "payment_gateway": Reference(("commerce_payment_gateway--commerce_payment_gateway",), required=True),
            "payment_method": Reference(("commerce_payment_method--credit_card",)),
            "order_id": Reference(("commerce_order--default",)),
        },
        id_field="drupal_internal__payment_id",
        permissions=dict.fromkeys(("view", "create", "delete"), ("administer commerce_payment",)),
        forbidden=frozenset({"update"}),
    )


def _user() -> ResourceType:
    return ResourceType("user--user", {"display_name": Field()}, {}, config=True)


def _config() -> Iterable[ResourceType]:
    names = (
        *("commerce_checkout_flow", "commerce_currency", "commerce_number_pattern", "commerce_order_item_type", "commerce_order_type"),
        *("commerce_payment_gateway", "commerce_product_attribute", "commerce_product_type", "commerce_product_variation_type"),
        *("commerce_promotion", "commerce_promotion_coupon", "commerce_store_type", "commerce_tax_type", "profile_type"),
    )
    bundles = [f"{name}--{name}" for name in names]
    for name in (*bundles, "commerce_payment_method--credit_card", "commerce_payment_method--paypal"):
        yield ResourceType(name, {"label": Field()}, {}, config=True)
