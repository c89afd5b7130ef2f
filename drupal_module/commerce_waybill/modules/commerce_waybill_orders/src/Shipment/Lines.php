<?php

declare(strict_types=1);

namespace Drupal\commerce_waybill_orders\Shipment;

use Drupal\commerce_order\Entity\OrderInterface;
use Drupal\commerce_order\Entity\OrderItemInterface;
use Drupal\commerce_price\Calculator;
use Drupal\commerce_product\Entity\ProductVariationInterface;
use Drupal\commerce_waybill_orders\Body;

/**
 * The lines of an order, as shipments speak of them.
 */
final class Lines {

  /**
   * Describes a quantity of a line.
   */
  public static function describe(OrderItemInterface $item, string $quantity): array {
    $variation = $item->getPurchasedEntity();
    return [
      'uuid' => $item->uuid(),
      'sku' => $variation instanceof ProductVariationInterface ? (string) $variation->getSku() : (string) $item->getTitle(),
      'quantity' => Calculator::trim($quantity),
    ];
  }

  /**
   * Lists what of an order no parcel carries yet.
   *
   * @param \Drupal\commerce_order\Entity\OrderInterface $order
   *   The order.
   * @param array[] $shipments
   *   The parcels that there are; a canceled one carries nothing.
   */
  public static function rest(OrderInterface $order, array $shipments): array {
    $rest = [];
    foreach ($order->getItems() as $item) {
      $left = $item->getQuantity();
      foreach ($shipments as $shipment) {
        foreach ($shipment['state'] === 'canceled' ? [] : $shipment['items'] as $sent) {
          $left = $sent['uuid'] === $item->uuid() ? Calculator::subtract($left, $sent['quantity']) : $left;
        }
      }
      if (Calculator::compare($left, '0') > 0) {
        $rest[] = self::describe($item, $left);
      }
    }
    return $rest;
  }

  /**
   * Reads which line is meant, by uuid or sku, and how much of it.
   *
   * @throws \Drupal\commerce_waybill_orders\Refusal
   *   422 when it is no line of the order, or more than that.
   */
  public static function read(OrderInterface $order, Body $body): array {
    $body->only('uuid', 'sku', 'quantity');
    $quantity = $body->decimal('quantity');
    $by = $body->has('uuid') ? 'uuid' : 'sku';
    $name = $body->text($by);
    $found = [];
    foreach ($order->getItems() as $item) {
      $line = self::describe($item, $quantity);
      if ($line[$by] === $name) {
        $found[] = [$line, $item->getQuantity()];
      }
    }
    if (count($found) !== 1) {
      throw $body->wrong($by, $found ? 'Several lines have this sku: name one by its uuid.' : 'The order has no such line.');
    }
    [$line, $ordered] = $found[0];
    if (Calculator::compare($quantity, '0') === 0 || Calculator::compare($quantity, $ordered) > 0) {
      throw $body->wrong('quantity', 'At least something, and at most what was ordered: ' . Calculator::trim($ordered) . '.');
    }
    return $line;
  }

}
