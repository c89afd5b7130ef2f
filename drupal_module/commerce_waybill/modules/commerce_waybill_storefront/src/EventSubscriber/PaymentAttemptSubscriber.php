<?php

declare(strict_types=1);

namespace Drupal\commerce_waybill_storefront\EventSubscriber;

use Drupal\commerce_order\Entity\OrderInterface;
use Drupal\commerce_payment\Event\FailedPaymentEvent;
use Drupal\commerce_payment\Event\PaymentEvent;
use Drupal\commerce_payment\Event\PaymentEvents;
use Drupal\commerce_payment\Exception\DeclineException;
use Drupal\commerce_waybill\Outbox\Outbox;
use Symfony\Component\EventDispatcher\EventSubscriberInterface;
use Symfony\Component\HttpFoundation\RequestStack;

/**
 * Records how each attempt to pay ended, and how long the customer waited.
 */
class PaymentAttemptSubscriber implements EventSubscriberInterface {

  public function __construct(
    private readonly Outbox $outbox,
    private readonly RequestStack $requestStack,
  ) {}

  /**
   * {@inheritdoc}
   */
  public static function getSubscribedEvents(): array {
    return [
      PaymentEvents::PAYMENT_INSERT => ['onInsert', -110],
      PaymentEvents::PAYMENT_FAILURE => ['onFailure', -110],
    ];
  }

  /**
   * Records an attempt that left a payment.
   */
  public function onInsert(PaymentEvent $event): void {
    $order = $event->getPayment()->getOrder();
    // Only the customer's own attempts: an order that is placed is paid by a
    // webhook or by the shop's staff.
    if ($order !== NULL && $order->getState()->getId() === 'draft') {
      $this->record($order, 'succeeded');
    }
  }

  /**
   * Records an attempt that failed: declined by the provider, or broken.
   */
  public function onFailure(FailedPaymentEvent $event): void {
    $declined = $event->getGatewayException() instanceof DeclineException;
    $this->record($event->getOrder(), $declined ? 'declined' : 'failed');
  }

  /**
   * Records an attempt with the seconds since the customer asked for it.
   */
  private function record(OrderInterface $order, string $outcome): void {
    $began = (float) ($this->requestStack->getMainRequest()?->server->get('REQUEST_TIME_FLOAT') ?? 0.0);
    $data = ['order' => $order->uuid(), 'outcome' => $outcome];
    if ($began > 0) {
      $data['seconds'] = round(max(microtime(TRUE) - $began, 0.0), 3);
    }
    $this->outbox->record('payment.attempted', $order, '', $data);
  }

}
