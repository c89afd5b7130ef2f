<?php

declare(strict_types=1);

namespace Drupal\commerce_waybill_orders;

use Drupal\commerce_order\Entity\OrderInterface;
use Drupal\Core\Entity\EntityInterface;
use Drupal\state_machine\Guard\GuardInterface;
use Drupal\state_machine\Plugin\Workflow\WorkflowInterface;
use Drupal\state_machine\Plugin\Workflow\WorkflowTransition;

/**
 * Refuses to fulfil an order while it is held, whoever asks.
 */
class HoldGuard implements GuardInterface {

  private const REFUSED = [
    'commerce_order' => ['fulfill', 'validate'],
    'commerce_shipment' => ['ship'],
  ];

  public function __construct(private readonly Hold $hold) {}

  /**
   * {@inheritdoc}
   */
  public function allowed(WorkflowTransition $transition, WorkflowInterface $workflow, EntityInterface $entity): bool {
    if (!in_array($transition->getId(), self::REFUSED[$entity->getEntityTypeId()] ?? [], TRUE)) {
      return TRUE;
    }
    $order = $entity instanceof OrderInterface ? $entity : $entity->get('order_id')->entity;
    return !$order instanceof OrderInterface || $this->hold->reason($order) === '';
  }

}
