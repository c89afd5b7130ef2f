<?php

declare(strict_types=1);

namespace Drupal\commerce_waybill_orders;

use Drupal\commerce_order\Entity\OrderInterface;
use Drupal\commerce_payment\Entity\PaymentInterface;
use Drupal\commerce_price\Calculator;
use Drupal\commerce_waybill_orders\Shipment\Shipments;
use Drupal\Core\Config\ConfigFactoryInterface;
use Drupal\Core\Entity\EntityTypeManagerInterface;

/**
 * Says how an order stands, in words for its customer.
 *
 * A delay or failure of the back office is none of the situations: until
 * something was sent, the order is received or prepared.
 */
class CustomerStatus {

  public function __construct(
    private readonly ConfigFactoryInterface $configFactory,
    private readonly EntityTypeManagerInterface $entityTypeManager,
    private readonly Hold $hold,
    private readonly Shipments $shipments,
  ) {}

  /**
   * Gives the configured text; nothing for a cart.
   */
  public function text(OrderInterface $order): string {
    return (string) $this->configFactory->get('commerce_waybill_orders.settings')->get('messages.' . $this->situation($order));
  }

  /**
   * Finds the situation of an order.
   *
   * @return string
   *   The name of a message, or "cart".
   */
  public function situation(OrderInterface $order): string {
    $state = $order->getState()->getId();
    if ($order->isNew() || $state === 'draft') {
      return 'cart';
    }
    $payments = $this->payments($order);
    return match (TRUE) {
      $state === 'canceled' => 'cancelled',
      $this->isRefunded($payments) => 'refunded',
      default => $this->sent($order) ?? $this->prepared($order, $payments),
    };
  }

  /**
   * Says how far the goods have come, if any were sent.
   */
  private function sent(OrderInterface $order): ?string {
    $states = [];
    $sent = [];
    foreach ($this->shipments->of($order) as $shipment) {
      if (!in_array($shipment['state'], ['shipped', 'delivered'], TRUE)) {
        continue;
      }
      $states[$shipment['state']] = TRUE;
      foreach ($shipment['items'] as $line) {
        $sent[$line['uuid']] = Calculator::add($sent[$line['uuid']] ?? '0', $line['quantity']);
      }
    }
    if (!$states) {
      return NULL;
    }
    foreach ($order->getItems() as $item) {
      if (Calculator::compare($sent[$item->uuid()] ?? '0', $item->getQuantity()) < 0) {
        return 'partially_shipped';
      }
    }
    return isset($states['shipped']) ? 'on_its_way' : 'delivered';
  }

  /**
   * Says how far an order has come of which nothing was sent.
   */
  private function prepared(OrderInterface $order, array $payments): string {
    $states = array_map(static fn (PaymentInterface $payment): string => $payment->getState()->getId(), $payments);
    // A part that was given back does not make it unpaid again.
    $is_paid = $order->isPaid() || $order->getData('paid_event_dispatched') === TRUE;
    return match (TRUE) {
      $this->hold->reason($order) !== '' => 'under_review',
      $is_paid => $order->getState()->getId() === 'completed' ? 'completed' : 'paid_preparing',
      (bool) array_intersect($states, ['pending', 'new']) => 'payment_pending',
      default => 'received',
    };
  }

  /**
   * Whether all that was paid was given back.
   */
  private function isRefunded(array $payments): bool {
    $completed = array_filter($payments, static fn (PaymentInterface $payment): bool => $payment->isCompleted());
    $kept = array_filter($completed, static fn (PaymentInterface $payment): bool => !$payment->getBalance()->isZero());
    return $completed && !$kept;
  }

  /**
   * Lists the payments of an order.
   *
   * @return \Drupal\commerce_payment\Entity\PaymentInterface[]
   *   The payments.
   */
  private function payments(OrderInterface $order): array {
    return $this->entityTypeManager->getStorage('commerce_payment')->loadMultipleByOrder($order);
  }

}
