<?php

declare(strict_types=1);

namespace Drupal\commerce_waybill_orders\Shipment;

use Drupal\commerce_order\Entity\OrderInterface;

/**
 * Keeps shipments as JSON in a field of the order: nothing else is needed.
 */
class FieldBook implements ShipmentBookInterface {

  /**
   * {@inheritdoc}
   */
  public function name(): string {
    return 'waybill_shipments';
  }

  /**
   * {@inheritdoc}
   */
  public function read(OrderInterface $order): array {
    return (array) json_decode((string) $order->get('waybill_shipments')->value, TRUE);
  }

  /**
   * {@inheritdoc}
   */
  public function write(OrderInterface $order, array $shipments): void {
    $all = array_column([...$this->read($order), ...$shipments], NULL, 'id');
    $order->set('waybill_shipments', json_encode(array_values($all), JSON_THROW_ON_ERROR | JSON_UNESCAPED_SLASHES | JSON_UNESCAPED_UNICODE));
  }

}
