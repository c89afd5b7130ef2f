<?php

declare(strict_types=1);

namespace Drupal\commerce_waybill_storefront\EventSubscriber;

use Drupal\commerce_order\Entity\OrderInterface;
use Drupal\commerce_order\Event\OrderEvent;
use Drupal\commerce_order\Event\OrderEvents;
use Drupal\commerce_waybill\Outbox\Outbox;
use Drupal\commerce_waybill_storefront\ShownTotals;
use Drupal\state_machine\Event\WorkflowTransitionEvent;
use Symfony\Component\EventDispatcher\EventSubscriberInterface;

/**
 * Records that a cart began, how far it came, and what it was shown to cost.
 */
class CartSubscriber implements EventSubscriberInterface {

  public function __construct(
    private readonly Outbox $outbox,
    private readonly ShownTotals $shown,
  ) {}

  /**
   * {@inheritdoc}
   */
  public static function getSubscribedEvents(): array {
    return [
      OrderEvents::ORDER_INSERT => ['onInsert', -110],
      OrderEvents::ORDER_UPDATE => ['onUpdate', -110],
      'commerce_order.place.post_transition' => ['onPlace', -110],
    ];
  }

  /**
   * Records a new cart.
   */
  public function onInsert(OrderEvent $event): void {
    $order = $event->getOrder();
    if ($order->hasField('cart') && $order->get('cart')->value) {
      $this->outbox->record('cart.created', $order, '', ['order' => $order->uuid()]);
    }
  }

  /**
   * Records that the checkout reached another step.
   */
  public function onUpdate(OrderEvent $event): void {
    $order = $event->getOrder();
    $step = (string) $order->get('checkout_step')->value;
    $before = isset($order->original) ? (string) $order->original->get('checkout_step')->value : '';
    if ($step !== '' && $step !== $before) {
      $this->outbox->record('checkout.step', $order, '', ['order' => $order->uuid(), 'step' => mb_substr($step, 0, 64)]);
    }
  }

  /**
   * Records the total that was shown beside the one that is charged.
   */
  public function onPlace(WorkflowTransitionEvent $event): void {
    $order = $event->getEntity();
    if (!$order instanceof OrderInterface) {
      return;
    }
    $shown = $this->shown->take($order);
    if ($shown !== NULL) {
      $this->outbox->record('checkout.total', $order, '', [
        'order' => $order->uuid(),
        'shown' => ['number' => $shown->getNumber(), 'currency_code' => $shown->getCurrencyCode()],
        'charged' => [
          'number' => $order->getTotalPrice()->getNumber(),
          'currency_code' => $order->getTotalPrice()->getCurrencyCode(),
        ],
      ]);
    }
  }

}
