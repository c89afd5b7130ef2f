<?php

declare(strict_types=1);

namespace Drupal\commerce_waybill_orders\Payment;

use Drupal\commerce_order\Entity\OrderInterface;
use Drupal\commerce_payment\Entity\PaymentGatewayInterface;
use Drupal\commerce_payment\Entity\PaymentInterface;
use Drupal\commerce_payment\PaymentStorageInterface;
use Drupal\commerce_price\Price;
use Drupal\commerce_waybill_orders\Refusal;
use Drupal\Core\Entity\EntityTypeManagerInterface;

/**
 * Finds, makes and adds up the payments of an order.
 */
class Payments {

  public function __construct(private readonly EntityTypeManagerInterface $entityTypeManager) {}

  /**
   * Finds the payment that news are about, or makes it as its gateway would.
   *
   * @throws \Drupal\commerce_waybill_orders\Refusal
   *   422 when it is another order's, or when there is no such gateway.
   */
  public function get(OrderInterface $order, PaymentNews $news): PaymentInterface {
    $query = $this->storage()->getQuery()->accessCheck(FALSE);
    $ids = $query->condition('payment_gateway', $news->gateway)->condition('remote_id', $news->remoteId)->execute();
    $payment = $ids ? $this->storage()->loadUnchanged(reset($ids)) : $this->make($news);
    if (!$payment->isNew() && (int) $payment->getOrderId() !== (int) $order->id()) {
      throw Refusal::field('/remote_id', 'This payment belongs to another order.');
    }
    // With the very object, so that nobody loads the order a second time while
    // it is saved.
    return $payment->set('order_id', $order);
  }

  /**
   * Adds up what an order has got, with one payment as it will be.
   *
   * As the updater of Commerce does; but that reads the database, and the
   * order has to know before it is saved, so that "paid" is fired.
   */
  public function total(OrderInterface $order, PaymentInterface $payment): Price {
    $others = array_filter(
      $this->storage()->loadMultipleByOrder($order),
      static fn (PaymentInterface $other): bool => $other->uuid() !== $payment->uuid(),
    );
    $total = new Price('0', $payment->getAmount()->getCurrencyCode());
    foreach ([...$others, $payment] as $one) {
      $total = $one->isCompleted() ? $total->add($one->getBalance()) : $total;
    }
    return $total;
  }

  /**
   * Counts the decimals of a currency.
   */
  public function decimals(string $currency_code): int {
    return (int) ($this->entityTypeManager->getStorage('commerce_currency')->load($currency_code)?->getFractionDigits() ?? 2);
  }

  /**
   * Makes a payment.
   */
  private function make(PaymentNews $news): PaymentInterface {
    $gateway = $this->entityTypeManager->getStorage('commerce_payment_gateway')->load($news->gateway);
    if (!$gateway instanceof PaymentGatewayInterface) {
      throw Refusal::field('/gateway', 'There is no such payment gateway.');
    }
    return $this->storage()->create([
      'payment_gateway' => $gateway->id(),
      'payment_gateway_mode' => $gateway->getPlugin()->getMode(),
      'remote_id' => $news->remoteId,
      'amount' => $news->amount,
    ]);
  }

  /**
   * Gets the storage of payments.
   */
  private function storage(): PaymentStorageInterface {
    return $this->entityTypeManager->getStorage('commerce_payment');
  }

}
