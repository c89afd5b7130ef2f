<?php

declare(strict_types=1);

namespace Drupal\commerce_waybill_orders\Action;

use Drupal\commerce_order\Entity\OrderInterface;
use Drupal\commerce_waybill_orders\Body;
use Drupal\commerce_waybill_orders\Hold;
use Drupal\commerce_waybill_orders\Refusal;
use Drupal\commerce_waybill_orders\Shipment\Lines;
use Drupal\commerce_waybill_orders\Shipment\Shipments;

/**
 * Notes what was sent, in one parcel or several.
 */
class ApplyShipments implements ActionInterface {

  private const BLANK = [
    'id' => '',
    'state' => '',
    'tracking_code' => '',
    'carrier' => '',
    'tracking_url' => '',
    'shipped_at' => '',
    'items' => [],
  ];

  public function __construct(
    private readonly Shipments $shipments,
    private readonly Hold $hold,
  ) {}

  /**
   * {@inheritdoc}
   */
  public function apply(OrderInterface $order, Body $body): Outcome {
    $body->only('shipments');
    $book = $this->shipments->book($order);
    $known = array_filter($book->read($order), static fn (array $shipment): bool => $shipment['id'] !== '');
    $known = array_column($known, NULL, 'id');
    $wanted = $known;
    foreach ($body->parts('shipments') as $part) {
      $shipment = $this->read($order, $part, $wanted);
      $wanted[$shipment['id']] = $shipment;
    }
    $changed = array_filter($wanted, static fn (array $shipment): bool => $shipment !== ($known[$shipment['id']] ?? NULL));
    $data = ['kept_as' => $book->name(), 'shipments' => array_values($wanted)];
    if (!$changed) {
      return Outcome::unchanged('equal', $data);
    }
    $reason = $this->hold->reason($order);
    if ($reason !== '') {
      throw Refusal::held($reason, array_keys($order->getState()->getTransitions()));
    }
    return Outcome::changed($data, [], static fn () => $book->write($order, array_values($changed)));
  }

  /**
   * Reads a shipment: what is not said of a known one stays.
   *
   * @param \Drupal\commerce_order\Entity\OrderInterface $order
   *   The order.
   * @param \Drupal\commerce_waybill_orders\Body $body
   *   The shipment as sent.
   * @param array[] $known
   *   The shipments that are known, by their id.
   */
  private function read(OrderInterface $order, Body $body, array $known): array {
    $body->only('id', 'tracking_code', 'carrier', 'tracking_url', 'shipped_at', 'items', 'state');
    $id = $body->text('id', 128);
    $shipment = $known[$id] ?? ['id' => $id] + self::BLANK;
    $shipment['state'] = $body->word('state', ['shipped', 'delivered', 'canceled']);
    foreach (['tracking_code', 'carrier', 'tracking_url'] as $name) {
      $shipment[$name] = $body->has($name) ? $body->anyText($name) : $shipment[$name];
    }
    if ($shipment['tracking_url'] !== '' && !preg_match('#^https?://[^\s"<>]+$#D', $shipment['tracking_url'])) {
      throw $body->wrong('tracking_url', 'An http or https address is required.');
    }
    if ($body->has('shipped_at')) {
      $shipment['shipped_at'] = $body->time('shipped_at')->format('Y-m-d\TH:i:sP');
    }
    if ($body->has('items')) {
      $shipment['items'] = array_map(static fn (Body $item): array => Lines::read($order, $item), $body->parts('items'));
    }
    elseif (!$shipment['items']) {
      // Many ERPs name parcels without their content: then it is the rest.
      $shipment['items'] = Lines::rest($order, $known);
    }
    return $shipment;
  }

}
