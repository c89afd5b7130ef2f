<?php

declare(strict_types=1);

namespace Drupal\commerce_waybill_orders\Payment;

use Drupal\commerce_payment\Entity\PaymentInterface;

/**
 * The middleware's words for a payment, and the states that stand for them.
 *
 * Which states there are depends on the payment's workflow; no workflow of
 * Commerce knows disputes, so those leave a payment where it is.
 *
 * @see commerce_payment.workflows.yml
 */
final class PaymentWords {

  private const STATES = [
    'pending' => ['pending', 'new'],
    'authorized' => ['authorization'],
    'partially_captured' => ['completed'],
    'captured' => ['completed'],
    'voided' => ['authorization_voided', 'voided'],
    'failed' => ['failed', 'authorization_voided', 'voided'],
    'partially_refunded' => ['partially_refunded'],
    'refunded' => ['refunded'],
  ];

  private const DISPUTES = [
    'disputed' => 'open',
    'dispute_won' => 'won',
    'dispute_lost' => 'lost',
  ];

  /**
   * Lists the words.
   *
   * @return string[]
   *   The words.
   */
  public static function all(): array {
    return [...array_keys(self::STATES), ...array_keys(self::DISPUTES)];
  }

  /**
   * Says what a word means for a dispute: open, won, lost or nothing.
   */
  public static function dispute(string $word): ?string {
    return self::DISPUTES[$word] ?? NULL;
  }

  /**
   * Finds the state that stands for a word.
   *
   * @return string|null
   *   A state of the payment's workflow, or NULL when it has none.
   */
  public static function state(PaymentInterface $payment, string $word): ?string {
    $stays = $payment->isNew() ? 'completed' : $payment->getState()->getId();
    $states = self::STATES[$word] ?? [$stays];
    return array_values(array_intersect($states, self::states($payment)))[0] ?? NULL;
  }

  /**
   * Lists the states of a payment's workflow.
   *
   * @return string[]
   *   The states.
   */
  public static function states(PaymentInterface $payment): array {
    return array_keys($payment->getState()->getWorkflow()->getStates());
  }

  /**
   * Lists the states that a payment may come to, its own among them.
   *
   * Over several steps, since the news of one may be lost or late.
   *
   * @return string[]
   *   The states.
   */
  public static function reachable(PaymentInterface $payment): array {
    if ($payment->isNew()) {
      return self::states($payment);
    }
    $workflow = $payment->getState()->getWorkflow();
    $found = [$payment->getState()->getId()];
    for ($i = 0; $i < count($found); $i++) {
      foreach ($workflow->getPossibleTransitions($found[$i]) as $transition) {
        $to = $transition->getToState()->getId();
        $found = in_array($to, $found, TRUE) ? $found : [...$found, $to];
      }
    }
    return $found;
  }

}
