<?php

declare(strict_types=1);

namespace Drupal\commerce_waybill_orders\Shipment;

use Drupal\commerce_order\Entity\OrderInterface;

/**
 * Where the shipments of an order are kept.
 *
 * A shipment is an array: id (the ERP's; empty for one that was made here),
 * state, tracking_code, carrier, tracking_url, shipped_at (RFC 3339 or empty),
 * items (uuid, sku and quantity of lines of the order).
 */
interface ShipmentBookInterface {

  /**
   * Says what the book is called in answers.
   */
  public function name(): string;

  /**
   * Lists the shipments of an order.
   *
   * @return array[]
   *   The shipments.
   */
  public function read(OrderInterface $order): array;

  /**
   * Writes shipments, inside the save of their order.
   *
   * @param \Drupal\commerce_order\Entity\OrderInterface $order
   *   The order.
   * @param array[] $shipments
   *   Those that are new or changed, each with an id.
   *
   * @throws \Drupal\commerce_waybill_orders\Refusal
   *   409 when a shipment cannot come to its state.
   */
  public function write(OrderInterface $order, array $shipments): void;

}
