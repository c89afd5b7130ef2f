<?php

declare(strict_types=1);

namespace Drupal\commerce_waybill_orders\Payment;

use Drupal\commerce_order\Entity\OrderInterface;
use Drupal\commerce_price\Calculator;
use Drupal\commerce_price\Price;
use Drupal\commerce_waybill_orders\Body;

/**
 * What a payment provider says of a payment, as the middleware tells it.
 */
final class PaymentNews {

  private function __construct(
    public readonly string $gateway,
    public readonly string $remoteId,
    public readonly string $word,
    public readonly Price $amount,
    public readonly ?Price $captured,
    public readonly ?Price $refunded,
    public readonly string $remoteState,
    public readonly \DateTimeImmutable $at,
    public readonly string $dispute,
    public readonly string $reason,
  ) {}

  /**
   * Reads the news from a body.
   *
   * @param \Drupal\commerce_waybill_orders\Body $body
   *   The body.
   * @param \Drupal\commerce_order\Entity\OrderInterface $order
   *   The order that is paid, in its currency.
   * @param \Drupal\commerce_waybill_orders\Payment\Payments $payments
   *   Knows how many decimals that currency has.
   *
   * @throws \Drupal\commerce_waybill_orders\Refusal
   *   422 when a field is wrong.
   */
  public static function of(Body $body, OrderInterface $order, Payments $payments): self {
    $body->only('gateway', 'remote_id', 'state', 'amount', 'captured', 'refunded', 'remote_state', 'at', 'dispute');
    $word = $body->word('state', PaymentWords::all());
    $currency = (string) ($order->getTotalPrice()?->getCurrencyCode() ?? $order->getStore()?->getDefaultCurrencyCode());
    $decimals = $payments->decimals($currency);
    $price = static fn (string $name): Price => self::price($body, $name, $currency, $decimals);
    $dispute = $body->has('dispute') ? $body->part('dispute') : NULL;
    $dispute?->only('id', 'reason');
    return new self(
      $body->text('gateway'),
      $body->text('remote_id'),
      $word,
      $price('amount'),
      $body->has('captured') || $word === 'partially_captured' ? $price('captured') : NULL,
      $body->has('refunded') || $word === 'partially_refunded' ? $price('refunded') : NULL,
      $body->anyText('remote_state') ?: $word,
      $body->time('at'),
      $dispute?->anyText('id') ?? '',
      $dispute?->anyText('reason') ?? '',
    );
  }

  /**
   * When it happened, so that texts can be compared.
   */
  public function instant(): string {
    return $this->at->format('Y-m-d\TH:i:s.u\Z');
  }

  /**
   * Reads an amount in a currency.
   */
  private static function price(Body $body, string $name, string $currency, int $decimals): Price {
    $price = $body->price($name);
    if ($price->getCurrencyCode() !== $currency) {
      throw $body->wrong("$name/currency_code", "The currency of the order is $currency.", ['currency_code' => $currency]);
    }
    if (strlen((string) strrchr(Calculator::trim($price->getNumber()), '.')) > $decimals + 1) {
      throw $body->wrong("$name/number", "$currency has $decimals decimals.");
    }
    return $price;
  }

}
