<?php

declare(strict_types=1);

namespace Drupal\commerce_waybill_checkout\EventSubscriber;

use Drupal\commerce_waybill_checkout\PendingHold;
use Drupal\commerce_waybill_checkout\Stock\Reservations;
use Drupal\state_machine\Event\WorkflowTransitionEvent;
use Symfony\Component\EventDispatcher\EventSubscriberInterface;

/**
 * Holds an order that is placed, and turns its reservation into a sale.
 */
class PlacementSubscriber implements EventSubscriberInterface {

  public function __construct(
    private readonly PendingHold $hold,
    private readonly Reservations $reservations,
  ) {}

  /**
   * {@inheritdoc}
   */
  public static function getSubscribedEvents(): array {
    return [
      'commerce_order.place.pre_transition' => 'onPlacing',
      'commerce_order.place.post_transition' => 'onEnded',
      'commerce_order.cancel.post_transition' => 'onEnded',
    ];
  }

  /**
   * Holds the order until it is decided on.
   */
  public function onPlacing(WorkflowTransitionEvent $event): void {
    $this->hold->hold($event->getEntity());
  }

  /**
   * Gives the reservation back, in the transaction that places or cancels.
   *
   * From then on a placed order itself counts as sold.
   */
  public function onEnded(WorkflowTransitionEvent $event): void {
    $this->reservations->release($event->getEntity());
  }

}
