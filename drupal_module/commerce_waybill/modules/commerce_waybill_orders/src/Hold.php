<?php

declare(strict_types=1);

namespace Drupal\commerce_waybill_orders;

use Drupal\commerce_order\Entity\OrderInterface;
use Drupal\Core\Config\ConfigFactoryInterface;

/**
 * Knows why the fulfilment of an order is held.
 */
class Hold {

  public function __construct(private readonly ConfigFactoryInterface $configFactory) {}

  /**
   * Gives the reason.
   *
   * @return string
   *   What the middleware said, "dispute" while one is open, or nothing.
   */
  public function reason(OrderInterface $order): string {
    $reason = (string) $order->get('waybill_hold')->value;
    if ($reason !== '') {
      return $reason;
    }
    $holds = $this->configFactory->get('commerce_waybill_orders.settings')->get('hold_on_dispute');
    return $holds && $order->get('waybill_dispute')->value === 'open' ? 'dispute' : '';
  }

}
