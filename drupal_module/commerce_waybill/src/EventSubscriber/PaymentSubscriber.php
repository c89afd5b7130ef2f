<?php

declare(strict_types=1);

namespace Drupal\commerce_waybill\EventSubscriber;

use Drupal\commerce_payment\Event\PaymentEvent;
use Drupal\commerce_payment\Event\PaymentEvents;
use Drupal\commerce_waybill\Outbox\Outbox;
use Symfony\Component\EventDispatcher\EventSubscriberInterface;

/**
 * Records that payments were made or changed, refunds included.
 *
 * Gateways set a payment's state directly, so no transition tells of it; and
 * the order hears of it only after the response, which may never come.
 */
class PaymentSubscriber implements EventSubscriberInterface {

  public function __construct(private readonly Outbox $outbox) {}

  /**
   * {@inheritdoc}
   */
  public static function getSubscribedEvents(): array {
    return [
      PaymentEvents::PAYMENT_INSERT => ['onInsert', -100],
      PaymentEvents::PAYMENT_UPDATE => ['onUpdate', -100],
    ];
  }

  /**
   * Records a new payment.
   */
  public function onInsert(PaymentEvent $event): void {
    $this->record('payment.inserted', $event);
  }

  /**
   * Records a changed payment.
   */
  public function onUpdate(PaymentEvent $event): void {
    $this->record('payment.updated', $event);
  }

  /**
   * Records an event of a payment; one without an order concerns nobody.
   */
  private function record(string $event, PaymentEvent $of): void {
    $payment = $of->getPayment();
    $order = $payment->getOrder();
    if ($order !== NULL) {
      $this->outbox->record($event, $order, (string) $payment->uuid());
    }
  }

}
