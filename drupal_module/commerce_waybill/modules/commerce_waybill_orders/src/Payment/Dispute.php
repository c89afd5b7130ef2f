<?php

declare(strict_types=1);

namespace Drupal\commerce_waybill_orders\Payment;

use Drupal\commerce_order\Entity\OrderInterface;

/**
 * The dispute over an order: open, won or lost.
 */
final class Dispute {

  /**
   * Describes the dispute of an order.
   *
   * @return array{state: string, id: string}|null
   *   The dispute, if there ever was one.
   */
  public static function of(OrderInterface $order): ?array {
    $state = (string) $order->get('waybill_dispute')->value;
    return $state === '' ? NULL : ['state' => $state, 'id' => (string) $order->get('waybill_dispute_id')->value];
  }

  /**
   * Notes what was said of a dispute, if anything was.
   *
   * The end of another dispute than the open one does not end that.
   */
  public static function note(OrderInterface $order, PaymentNews $news): void {
    $state = PaymentWords::dispute($news->word);
    $now = self::of($order);
    $open = $now && $now['state'] === 'open' ? $now['id'] : '';
    $is_another = $open !== '' && $news->dispute !== '' && $news->dispute !== $open;
    if ($state === NULL || ($state !== 'open' && $is_another)) {
      return;
    }
    $order->set('waybill_dispute', $state)->set('waybill_dispute_id', $news->dispute ?: $open);
  }

}
