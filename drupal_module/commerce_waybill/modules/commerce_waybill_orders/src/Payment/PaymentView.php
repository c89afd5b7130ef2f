<?php

declare(strict_types=1);

namespace Drupal\commerce_waybill_orders\Payment;

use Drupal\commerce_payment\Entity\PaymentInterface;
use Drupal\commerce_price\Calculator;
use Drupal\commerce_price\Price;

/**
 * Describes payments and amounts for the middleware.
 */
final class PaymentView {

  /**
   * Describes a payment.
   */
  public static function of(PaymentInterface $payment): array {
    return [
      'uuid' => $payment->uuid(),
      'gateway' => (string) $payment->getPaymentGatewayId(),
      'remote_id' => (string) $payment->getRemoteId(),
      'remote_state' => (string) $payment->getRemoteState(),
      'state' => $payment->getState()->getId(),
      'amount' => self::amount($payment->getAmount()),
      'refunded' => self::amount($payment->getRefundedAmount() ?? $payment->getAmount()->multiply('0')),
    ];
  }

  /**
   * Describes an amount, without the zeros that databases add.
   */
  public static function amount(?Price $price): ?array {
    return $price ? ['number' => Calculator::trim($price->getNumber()), 'currency_code' => $price->getCurrencyCode()] : NULL;
  }

}
