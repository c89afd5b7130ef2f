"""Feeds of catalog, prices and stock: read page by page, staged, merged per product and variation, written in batches."""
