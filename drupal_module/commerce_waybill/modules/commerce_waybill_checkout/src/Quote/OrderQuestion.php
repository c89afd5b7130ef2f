<?php

declare(strict_types=1);

namespace Drupal\commerce_waybill_checkout\Quote;

use Drupal\commerce_order\Entity\OrderInterface;
use Drupal\commerce_order\Entity\OrderItemInterface;
use Drupal\commerce_price\Calculator;
use Drupal\commerce_price\Price;
use Drupal\commerce_product\Entity\ProductVariationInterface;
use Drupal\commerce_shipping\Entity\ShipmentInterface;
use Drupal\profile\Entity\ProfileInterface;

/**
 * What an amount depends on: goods and destination, nobody's name.
 *
 * Numbers have no trailing zeros: the same question has the same answer in the
 * cache, however an amount was written.
 */
final class OrderQuestion {

  /**
   * Describes an order, as its tax depends on it.
   *
   * @return array|null
   *   The question, or NULL while nobody knows where the order goes.
   */
  public static function aboutTax(OrderInterface $order): ?array {
    $profiles = $order->collectProfiles();
    $destination = self::destination($profiles['shipping'] ?? $profiles['billing'] ?? NULL);
    if ($destination === NULL) {
      return NULL;
    }
    $line = static fn (OrderItemInterface $item): array => [
      'sku' => self::sku($item),
      'quantity' => Calculator::trim($item->getQuantity()),
      'total' => self::price($item->getAdjustedTotalPrice(['promotion'])),
    ];
    return [
      'store' => (string) $order->getStoreId(),
      'destination' => $destination,
      'lines' => array_map($line, $order->getItems()),
      'shipping' => self::price(self::shipping($order)),
    ];
  }

  /**
   * Describes a shipment, as its rate depends on it.
   *
   * @param \Drupal\commerce_shipping\Entity\ShipmentInterface $shipment
   *   The shipment.
   * @param string $service
   *   What the other system calls the service.
   *
   * @return array|null
   *   The question, or NULL while nobody knows where the shipment goes.
   */
  public static function aboutShipping(ShipmentInterface $shipment, string $service): ?array {
    $destination = self::destination($shipment->getShippingProfile());
    if ($destination === NULL) {
      return NULL;
    }
    $items = [];
    foreach ($shipment->getOrder()->getItems() as $item) {
      $items[$item->id()] = $item;
    }
    $lines = [];
    foreach ($shipment->getItems() as $part) {
      $item = $items[$part->getOrderItemId()] ?? NULL;
      $weight = $part->getWeight();
      $lines[] = [
        'sku' => $item ? self::sku($item) : '',
        'quantity' => Calculator::trim($part->getQuantity()),
        'total' => self::price($part->getDeclaredValue()),
        'weight' => ['number' => Calculator::trim($weight->getNumber()), 'unit' => $weight->getUnit()],
      ];
    }
    return [
      'store' => (string) $shipment->getOrder()->getStoreId(),
      'service' => $service,
      'destination' => $destination,
      'lines' => $lines,
    ];
  }

  /**
   * Gives what of an address matters, once it has a country.
   */
  private static function destination(?ProfileInterface $profile): ?array {
    $address = $profile?->hasField('address') ? $profile->get('address')->first()?->getValue() : NULL;
    if (empty($address['country_code'])) {
      return NULL;
    }
    return [
      'country_code' => $address['country_code'],
      'administrative_area' => (string) ($address['administrative_area'] ?? ''),
      'postal_code' => (string) ($address['postal_code'] ?? ''),
    ];
  }

  /**
   * Gives the number of a good; a title may hold what a customer wrote.
   */
  private static function sku(OrderItemInterface $item): string {
    $variation = $item->getPurchasedEntity();
    return $variation instanceof ProductVariationInterface ? $variation->getSku() : '';
  }

  /**
   * Sums what shipping costs, less what a promotion takes off.
   */
  private static function shipping(OrderInterface $order): ?Price {
    $sum = NULL;
    foreach ($order->getAdjustments(['shipping', 'shipping_promotion']) as $adjustment) {
      if (!$adjustment->isIncluded()) {
        $sum = $sum ? $sum->add($adjustment->getAmount()) : $adjustment->getAmount();
      }
    }
    return $sum;
  }

  /**
   * Writes a price.
   */
  private static function price(?Price $price): ?array {
    return $price ? ['number' => Calculator::trim($price->getNumber()), 'currency_code' => $price->getCurrencyCode()] : NULL;
  }

}
