"""Payments beyond their events: payouts, operations at the provider, what was missed, and whether the door still holds."""
