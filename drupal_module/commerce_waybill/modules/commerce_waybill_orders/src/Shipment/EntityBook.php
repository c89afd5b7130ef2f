<?php

declare(strict_types=1);

namespace Drupal\commerce_waybill_orders\Shipment;

use Drupal\commerce_order\Entity\OrderInterface;
use Drupal\commerce_order\Entity\OrderItemInterface;
use Drupal\commerce_price\Calculator;
use Drupal\commerce_shipping\Entity\ShipmentInterface;
use Drupal\commerce_shipping\ShipmentItem;
use Drupal\commerce_waybill_orders\Refusal;
use Drupal\Core\Entity\EntityTypeManagerInterface;
use Drupal\Core\StringTranslation\StringTranslationTrait;
use Drupal\physical\Weight;
use Drupal\physical\WeightUnit;

/**
 * Keeps shipments as entities of Commerce Shipping.
 *
 * A shipment that the checkout made is taken for the parcel that carries all
 * of it; a smaller parcel becomes a shipment of its own, and the rest stays.
 * What the entity has no field for is kept in its data.
 */
class EntityBook implements ShipmentBookInterface {

  use StringTranslationTrait;

  /**
   * Transitions on the way to a state, taken where the workflow allows them.
   */
  private const WAYS = [
    'shipped' => ['finalize', 'ship'],
    'delivered' => ['finalize', 'ship', 'deliver'],
    'canceled' => ['cancel'],
  ];

  public function __construct(private readonly EntityTypeManagerInterface $entityTypeManager) {}

  /**
   * {@inheritdoc}
   */
  public function name(): string {
    return 'commerce_shipment';
  }

  /**
   * {@inheritdoc}
   */
  public function read(OrderInterface $order): array {
    return array_map(fn (ShipmentInterface $shipment): array => $this->describe($order, $shipment), $this->of($order));
  }

  /**
   * {@inheritdoc}
   */
  public function write(OrderInterface $order, array $shipments): void {
    foreach ($shipments as $wanted) {
      $items = array_map(fn (array $line): ShipmentItem => $this->item($order, $line), $wanted['items']);
      $shipment = $this->find($order, $wanted['id']) ?? $this->make($order, $items);
      // With the very object, so that nobody loads the order while it is saved.
      $shipment->set('order_id', $order);
      $shipment->setItems($items)->setTrackingCode($wanted['tracking_code']);
      if ($wanted['shipped_at'] !== '') {
        $shipment->setShippedTime((new \DateTimeImmutable($wanted['shipped_at']))->getTimestamp());
      }
      $shipment->setData('waybill', array_intersect_key($wanted, array_flip(['id', 'state', 'carrier', 'tracking_url'])));
      $is_new = $shipment->isNew();
      $this->move($shipment, $wanted['state']);
      if ($is_new) {
        $order->get('shipments')->appendItem(['target_id' => $shipment->id()]);
      }
    }
  }

  /**
   * Lists the shipments of an order, the first one first.
   *
   * @return \Drupal\commerce_shipping\Entity\ShipmentInterface[]
   *   The shipments, as stored.
   */
  private function of(OrderInterface $order): array {
    $storage = $this->entityTypeManager->getStorage('commerce_shipment');
    $ids = $storage->getQuery()->accessCheck(FALSE)->condition('order_id', $order->id())->sort('shipment_id')->execute();
    return array_values($storage->loadMultiple($ids));
  }

  /**
   * Finds a shipment of an order by the ERP's id.
   */
  private function find(OrderInterface $order, string $id): ?ShipmentInterface {
    foreach ($this->of($order) as $shipment) {
      if (($shipment->getData('waybill', [])['id'] ?? '') === $id) {
        return $shipment;
      }
    }
    return NULL;
  }

  /**
   * Takes the shipment that waits, or makes one beside it.
   *
   * @param \Drupal\commerce_order\Entity\OrderInterface $order
   *   The order.
   * @param \Drupal\commerce_shipping\ShipmentItem[] $items
   *   What the parcel carries.
   */
  private function make(OrderInterface $order, array $items): ShipmentInterface {
    $all = $this->of($order);
    $open = NULL;
    foreach ($all as $shipment) {
      $waits = !$shipment->getData('waybill') && in_array($shipment->getState()->getId(), ['draft', 'ready'], TRUE);
      $open ??= $waits ? $shipment : NULL;
    }
    if ($open) {
      $rest = $this->without($order, $open->getItems(), $items);
      if (!$rest) {
        return $open;
      }
      $open->setItems($rest)->save();
    }
    $like = $open ?? $all[0] ?? NULL;
    $type = $this->entityTypeManager->getStorage('commerce_order_type')->load($order->bundle())->getThirdPartySetting('commerce_shipping', 'shipment_type');
    return $this->entityTypeManager->getStorage('commerce_shipment')->create([
      'type' => $like?->bundle() ?? $type,
      'order_id' => $order->id(),
      'title' => (string) $this->t('Shipment #@number', ['@number' => count($all) + 1]),
      'shipping_profile' => $like?->getShippingProfile() ?? $order->collectProfiles()['shipping'] ?? NULL,
      'shipping_method' => $like?->getShippingMethodId(),
      'shipping_service' => $like?->getShippingService(),
    ]);
  }

  /**
   * Says what is left of a shipment when a part of it is sent otherwise.
   */
  private function without(OrderInterface $order, array $items, array $sent): array {
    $rest = [];
    foreach ($items as $item) {
      $left = $item->getQuantity();
      foreach ($sent as $one) {
        $left = $one->getOrderItemId() === $item->getOrderItemId() ? Calculator::subtract($left, $one->getQuantity()) : $left;
      }
      if (Calculator::compare($left, '0') > 0) {
        $rest[] = $this->amount($this->line($order, $item->getOrderItemId()), Calculator::trim($left));
      }
    }
    return $rest;
  }

  /**
   * Saves a shipment, and moves it as its workflow allows.
   */
  private function move(ShipmentInterface $shipment, string $to): void {
    $shipment->save();
    foreach (self::WAYS[$to] as $transition) {
      if ($shipment->getState()->isTransitionAllowed($transition)) {
        $shipment->getState()->applyTransitionById($transition);
        $shipment->save();
      }
    }
    $state = $shipment->getState();
    if ($state->getId() !== $to && !($to === 'delivered' && $state->getId() === 'shipped')) {
      $detail = sprintf('A shipment that is "%s" does not become "%s".', $state->getId(), $to);
      $meta = ['state' => $state->getId(), 'allowed' => array_keys($state->getTransitions())];
      throw new Refusal(409, 'shipment_illegal', $detail, '/shipments', $meta);
    }
  }

  /**
   * Describes a shipment.
   */
  private function describe(OrderInterface $order, ShipmentInterface $shipment): array {
    $data = $shipment->getData('waybill', []) + ['id' => '', 'state' => '', 'carrier' => '', 'tracking_url' => ''];
    $state = $shipment->getState()->getId();
    return [
      'id' => $data['id'],
      'state' => $state === 'shipped' && $data['state'] === 'delivered' ? 'delivered' : $state,
      'tracking_code' => (string) $shipment->getTrackingCode(),
      'carrier' => $data['carrier'],
      'tracking_url' => $data['tracking_url'],
      'shipped_at' => $shipment->getShippedTime() ? gmdate('Y-m-d\TH:i:sP', $shipment->getShippedTime()) : '',
      'items' => array_values(array_filter(array_map(function (ShipmentItem $item) use ($order): ?array {
        $line = $this->line($order, $item->getOrderItemId());
        return $line ? Lines::describe($line, $item->getQuantity()) : NULL;
      }, $shipment->getItems()))),
    ];
  }

  /**
   * Finds a line of an order.
   */
  private function line(OrderInterface $order, int $id): ?OrderItemInterface {
    foreach ($order->getItems() as $item) {
      if ((int) $item->id() === $id) {
        return $item;
      }
    }
    return NULL;
  }

  /**
   * Makes what a shipment says of a line.
   */
  private function item(OrderInterface $order, array $line): ShipmentItem {
    foreach ($order->getItems() as $item) {
      if ($item->uuid() === $line['uuid']) {
        return $this->amount($item, $line['quantity']);
      }
    }
    throw Refusal::field('/shipments', 'The order has no such line.');
  }

  /**
   * Makes a shipment item of a quantity of a line.
   */
  private function amount(OrderItemInterface $item, string $quantity): ShipmentItem {
    $variation = $item->getPurchasedEntity();
    $has_weight = $variation && $variation->hasField('weight') && !$variation->get('weight')->isEmpty();
    $weight = $has_weight ? $variation->get('weight')->first()->toMeasurement() : new Weight('0', WeightUnit::GRAM);
    return new ShipmentItem([
      'order_item_id' => (int) $item->id(),
      'title' => $item->getTitle(),
      'quantity' => $quantity,
      'weight' => $weight->multiply($quantity),
      'declared_value' => $item->getUnitPrice()->multiply($quantity),
    ]);
  }

}
