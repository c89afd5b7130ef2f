<?php

declare(strict_types=1);

namespace Drupal\commerce_waybill_orders\Action;

use Drupal\commerce_order\Entity\OrderInterface;
use Drupal\commerce_waybill_orders\Body;

/**
 * Holds the fulfilment of an order for a reason, or releases it.
 */
class ChangeHold implements ActionInterface {

  /**
   * {@inheritdoc}
   */
  public function apply(OrderInterface $order, Body $body): Outcome {
    $body->only('hold', 'reason');
    $reason = $body->flag('hold') ? $body->text('reason') : '';
    if ($reason === (string) $order->get('waybill_hold')->value) {
      return Outcome::unchanged('equal', ['hold' => $reason]);
    }
    $order->set('waybill_hold', $reason);
    return Outcome::changed(['hold' => $reason], ['waybill_hold' => ['reason' => $reason]]);
  }

}
