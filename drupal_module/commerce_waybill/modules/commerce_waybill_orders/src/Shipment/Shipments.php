<?php

declare(strict_types=1);

namespace Drupal\commerce_waybill_orders\Shipment;

use Drupal\commerce_order\Entity\OrderInterface;
use Drupal\Core\Entity\EntityTypeManagerInterface;

/**
 * Chooses the book: real shipments for orders that can have them.
 */
class Shipments {

  public function __construct(
    private readonly EntityTypeManagerInterface $entityTypeManager,
    private readonly EntityBook $entities,
    private readonly FieldBook $field,
  ) {}

  /**
   * Gives the book in which the shipments of an order are.
   */
  public function book(OrderInterface $order): ShipmentBookInterface {
    $has_entities = $order->hasField('shipments') && $this->entityTypeManager->hasDefinition('commerce_shipment');
    return $has_entities ? $this->entities : $this->field;
  }

  /**
   * Lists the shipments of an order.
   */
  public function of(OrderInterface $order): array {
    return $this->book($order)->read($order);
  }

}
