"""What is asked of Vendure's admin API: its lists, what is read of each entry, and how their filters write time.

https://docs.vendure.io/reference/graphql-api/admin/queries
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta


@dataclass(frozen=True, slots=True)
class Feed:
    """One list of the API: its query, the type of its options, and what is read of each entry. `changes` are the lists whose
    `updatedAt` tells a change of a record; without one the feed is always read whole."""

    query: str
    options: str
    selection: str
    changes: tuple[str, ...] = ()


_TRANSLATIONS = "translations{languageCode name description}"
_FACETS = "facetValues{code facet{code}}"
_ASSETS = "featuredAsset{source} assets{source}"

FEEDS = {
    "products": Feed(
        "productVariants",
        "ProductVariantListOptions",
        f"id sku name enabled options{{code group{{code}}}} {_FACETS} {_ASSETS} translations{{languageCode name}}"
        f" product{{id slug name description enabled {_FACETS} {_ASSETS} {_TRANSLATIONS} collections{{slug}}}}",
        changes=("productVariants", "products"),
    ),
    "prices": Feed("productVariants", "ProductVariantListOptions", "id sku prices{currencyCode price}", changes=("productVariants",)),
    "stock": Feed(
        "productVariants",
        "ProductVariantListOptions",
        "id sku trackInventory stockLevels{stockLocationId stockOnHand stockAllocated}",
    ),
    "categories": Feed(
        "collections", "CollectionListOptions", f"id slug name description position isPrivate parent{{id slug}} {_TRANSLATIONS}"
    ),
}
"""Every kind of records. An order that takes stock does not touch its variant, and a collection that moves does not touch the
others, so stock and categories have no delta; nor has a variant that enters or leaves a collection: a full pull brings it."""

PRODUCTS = Feed("products", "ProductListOptions", "id")
"""The list that tells of what is the same for all variants of a product: its texts do not touch the variants' `updatedAt`."""

CHANNEL = "globalSettings{serverConfig{moneyStrategyPrecision}} activeChannel{code pricesIncludeTax}"
"""What says how the prices of a channel are to be read."""


def listing(feed: Feed, besides: str = "") -> str:
    """The query for a page of a list; its variable is `options`."""
    return f"query($options:{feed.options}){{list:{feed.query}(options:$options){{totalItems items{{{feed.selection}}}}} {besides}}}"


def changed_after(since: datetime) -> str:
    """The `after` of a filter that leaves out nothing of what changed at `since` or later: it is strict, and what was made but
    never changed carries a time without fractions."""
    return (since.astimezone(UTC).replace(microsecond=0) - timedelta(seconds=1)).isoformat().replace("+00:00", "Z")
