<?php

declare(strict_types=1);

namespace Drupal\commerce_waybill_orders;

use Drupal\commerce_order\Entity\OrderInterface;
use Drupal\Core\Entity\EntityTypeManagerInterface;

/**
 * Writes what happened into the order's activity, where commerce_log is on.
 */
class Audit {

  /**
   * The templates of this module.
   */
  public const TEMPLATES = ['waybill_payment', 'waybill_dispute', 'waybill_hold', 'waybill_references'];

  public function __construct(private readonly EntityTypeManagerInterface $entityTypeManager) {}

  /**
   * Notes what happened to an order.
   *
   * @param \Drupal\commerce_order\Entity\OrderInterface $order
   *   The order.
   * @param array $log
   *   The parameters by the name of their template.
   */
  public function note(OrderInterface $order, array $log): void {
    if (!$this->entityTypeManager->hasDefinition('commerce_log')) {
      return;
    }
    foreach ($log as $template => $parameters) {
      $this->entityTypeManager->getStorage('commerce_log')->generate($order, $template, $parameters)->save();
    }
  }

}
