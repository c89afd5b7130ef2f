<?php

declare(strict_types=1);

namespace Drupal\commerce_waybill\EventSubscriber;

use Drupal\commerce_order\Entity\OrderInterface;
use Drupal\commerce_order\Event\OrderEvent;
use Drupal\commerce_order\Event\OrderEvents;
use Drupal\commerce_waybill\Outbox\Outbox;
use Drupal\state_machine\Event\WorkflowTransitionEvent;
use Symfony\Component\EventDispatcher\EventSubscriberInterface;

/**
 * Records what happens to orders.
 *
 * And does nothing else: an exception here would abort the checkout.
 */
class OrderSubscriber implements EventSubscriberInterface {

  public function __construct(private readonly Outbox $outbox) {}

  /**
   * {@inheritdoc}
   */
  public static function getSubscribedEvents(): array {
    return [
      'commerce_order.post_transition' => ['onTransition', -100],
      OrderEvents::ORDER_PAID => ['onPaid', -100],
      OrderEvents::ORDER_UPDATE => ['onUpdate', -100],
    ];
  }

  /**
   * Records a transition that has an event of its own.
   *
   * By the transition's name, and by the state for workflows whose
   * transitions are called otherwise.
   */
  public function onTransition(WorkflowTransitionEvent $event): void {
    $order = $event->getEntity();
    if (!$order instanceof OrderInterface) {
      return;
    }
    $to = $event->getTransition()->getToState()->getId();
    $told = match (TRUE) {
      $event->getTransition()->getId() === 'place' => 'order.placed',
      $to === 'canceled' => 'order.cancelled',
      $to === 'completed' => 'order.fulfilled',
      default => NULL,
    };
    if ($told !== NULL) {
      $this->outbox->record($told, $order);
    }
  }

  /**
   * Records that an order was paid in full.
   */
  public function onPaid(OrderEvent $event): void {
    $this->outbox->record('order.paid', $event->getOrder());
  }

  /**
   * Records any other change of an order that is not a cart any more.
   */
  public function onUpdate(OrderEvent $event): void {
    $order = $event->getOrder();
    if ($order->getState()->getId() === 'draft' || $this->outbox->tells($order)) {
      return;
    }
    $this->outbox->record('order.updated', $order);
  }

}
