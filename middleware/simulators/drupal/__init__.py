"""A stand-in for a Drupal 10 site with Commerce 3 and the commerce_waybill module, with state and rules of its own."""

from middleware.simulators.drupal.access import User
from middleware.simulators.drupal.checkout import Charge, Line, Paid
from middleware.simulators.drupal.seed import SERVICE_PERMISSIONS, Shop
from middleware.simulators.drupal.simulator import ERP_FIELDS, DrupalSimulator, ShopOrder

__all__ = ["ERP_FIELDS", "SERVICE_PERMISSIONS", "Charge", "DrupalSimulator", "Line", "Paid", "Shop", "ShopOrder", "User"]
