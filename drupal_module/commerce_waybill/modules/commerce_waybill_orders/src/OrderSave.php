<?php

declare(strict_types=1);

namespace Drupal\commerce_waybill_orders;

use Drupal\commerce_order\Entity\OrderInterface;
use Drupal\commerce_order\Event\OrderEvent;
use Drupal\commerce_order\Event\OrderEvents;
use Symfony\Component\EventDispatcher\EventSubscriberInterface;

/**
 * Saves an order together with other things: all of it, or nothing.
 *
 * The storage opens the transaction, and gives the lock back only after it was
 * committed; a transaction around it would not be committed by then. So the
 * other things are written by the events that the storage fires inside.
 */
class OrderSave implements EventSubscriberInterface {

  /**
   * The order that is being saved for a call.
   */
  private ?OrderInterface $order = NULL;

  /**
   * What to write first, until it was.
   */
  private ?\Closure $effect = NULL;

  /**
   * What to write last, until it was.
   */
  private ?\Closure $seal = NULL;

  /**
   * {@inheritdoc}
   */
  public static function getSubscribedEvents(): array {
    return [
      // "Paid" is fired before presave, and tells others to look at the
      // payments: so they have to be there.
      OrderEvents::ORDER_PAID => ['onPaid', 1000],
      OrderEvents::ORDER_PRESAVE => 'onPresave',
    ];
  }

  /**
   * Saves an order.
   *
   * @param \Drupal\commerce_order\Entity\OrderInterface $order
   *   The order, loaded for update.
   * @param \Closure $effect
   *   Saves what belongs to the order.
   * @param \Closure $seal
   *   Keeps the call's answer, which throws when the call has one.
   *
   * @throws \Drupal\Core\Entity\EntityStorageException
   *   When anything threw; then nothing was written.
   */
  public function save(OrderInterface $order, \Closure $effect, \Closure $seal): void {
    // Prices are the shop's business, with the customer's session at hand.
    $order->setRefreshState($order->getRefreshState() ?? OrderInterface::REFRESH_SKIP);
    [$this->order, $this->effect, $this->seal] = [$order, $effect, $seal];
    try {
      $order->save();
    }
    finally {
      $this->order = $this->effect = $this->seal = NULL;
    }
  }

  /**
   * Writes what belongs to an order before anybody hears that it is paid.
   */
  public function onPaid(OrderEvent $event): void {
    if ($event->getOrder() === $this->order) {
      $this->write('effect');
    }
  }

  /**
   * Writes what belongs to an order, and then the call's answer.
   */
  public function onPresave(OrderEvent $event): void {
    if ($event->getOrder() === $this->order) {
      $this->write('effect');
      $this->write('seal');
    }
  }

  /**
   * Writes one of both, once.
   */
  private function write(string $what): void {
    [$write, $this->$what] = [$this->$what, NULL];
    if ($write !== NULL) {
      $write();
    }
  }

}
