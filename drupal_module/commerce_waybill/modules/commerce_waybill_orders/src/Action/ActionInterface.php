<?php

declare(strict_types=1);

namespace Drupal\commerce_waybill_orders\Action;

use Drupal\commerce_order\Entity\OrderInterface;
use Drupal\commerce_waybill_orders\Body;

/**
 * One thing that the middleware may ask of an order.
 */
interface ActionInterface {

  /**
   * Changes an order in memory; it is saved by the caller.
   *
   * @param \Drupal\commerce_order\Entity\OrderInterface $order
   *   The order, under its lock.
   * @param \Drupal\commerce_waybill_orders\Body $body
   *   What is asked.
   *
   * @return \Drupal\commerce_waybill_orders\Action\Outcome
   *   Whether there is something to save, and what to answer.
   *
   * @throws \Drupal\commerce_waybill_orders\Refusal
   *   When it cannot be done.
   */
  public function apply(OrderInterface $order, Body $body): Outcome;

}
