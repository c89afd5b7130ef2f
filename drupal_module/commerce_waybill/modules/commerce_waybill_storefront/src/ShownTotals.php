<?php

declare(strict_types=1);

namespace Drupal\commerce_waybill_storefront;

use Drupal\commerce_order\Entity\OrderInterface;
use Drupal\commerce_price\Price;
use Drupal\Core\KeyValueStore\KeyValueExpirableFactoryInterface;

/**
 * Remembers the total that a customer last saw in the checkout.
 */
class ShownTotals {

  /**
   * Seconds that a total is remembered: no checkout stays open longer.
   */
  private const LIFE = 7 * 86400;

  public function __construct(private readonly KeyValueExpirableFactoryInterface $memory) {}

  /**
   * Remembers what an order comes to while it is shown.
   */
  public function note(OrderInterface $order): void {
    $total = $order->getTotalPrice();
    if ($total !== NULL && $order->getState()->getId() === 'draft') {
      $this->store()->setWithExpire('shown:' . $order->id(), $total->toArray(), self::LIFE);
    }
  }

  /**
   * Gives the total that was shown last, and forgets it.
   */
  public function take(OrderInterface $order): ?Price {
    $shown = $this->store()->get('shown:' . $order->id());
    $this->store()->delete('shown:' . $order->id());
    return $shown === NULL ? NULL : Price::fromArray($shown);
  }

  /**
   * Opens the memory.
   */
  private function store(): object {
    return $this->memory->get('commerce_waybill_storefront');
  }

}
