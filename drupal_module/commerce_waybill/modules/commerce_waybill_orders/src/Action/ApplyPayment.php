<?php

declare(strict_types=1);

namespace Drupal\commerce_waybill_orders\Action;

use Drupal\commerce_order\Entity\OrderInterface;
use Drupal\commerce_payment\Entity\PaymentInterface;
use Drupal\commerce_payment\PaymentOrderUpdaterInterface;
use Drupal\commerce_waybill_orders\Body;
use Drupal\commerce_waybill_orders\Payment\Dispute;
use Drupal\commerce_waybill_orders\Payment\PaymentNews;
use Drupal\commerce_waybill_orders\Payment\Payments;
use Drupal\commerce_waybill_orders\Payment\PaymentView;
use Drupal\commerce_waybill_orders\Payment\PaymentWords;
use Drupal\commerce_waybill_orders\Refusal;

/**
 * Brings a payment of an order to what its provider says of it.
 *
 * Older news never undoes newer; a state is changed only in the direction of
 * its workflow. The payment is saved inside the save of its order, which also
 * gets the new total and, if it is disputed, says so.
 */
class ApplyPayment implements ActionInterface {

  /**
   * States in which money came in at some time.
   */
  private const COMPLETED = ['completed', 'partially_refunded', 'refunded'];

  public function __construct(
    private readonly Payments $payments,
    private readonly PaymentOrderUpdaterInterface $updater,
  ) {}

  /**
   * {@inheritdoc}
   */
  public function apply(OrderInterface $order, Body $body): Outcome {
    $news = PaymentNews::of($body, $order, $this->payments);
    $payment = $this->payments->get($order, $news);
    $state = PaymentWords::state($payment, $news->word)
      ?? throw Refusal::field('/state', "The payments of this gateway have no state for \"$news->word\".", ['states' => PaymentWords::states($payment)]);
    $reachable = PaymentWords::reachable($payment);
    $is_reachable = in_array($state, $reachable, TRUE);
    $known = (string) $payment->get('waybill_at')->value;
    if ($news->instant() < $known || ($news->instant() === $known && !$is_reachable)) {
      return Outcome::unchanged('older', $this->describe($order, $payment));
    }
    if (!$is_reachable) {
      throw $this->illegal($payment, $state, $reachable);
    }
    $before = $payment->isNew() ? NULL : $this->describe($order, $payment);
    $this->write($payment, $news, $state);
    Dispute::note($order, $news);
    $after = $this->describe($order, $payment);
    if ($after === $before) {
      return Outcome::unchanged('equal', $after);
    }
    if ($order->getTotalPaid() !== NULL) {
      $order->setTotalPaid($this->payments->total($order, $payment));
    }
    return Outcome::changed($after, $this->log($payment, $news), function () use ($order, $payment): void {
      $payment->save();
      // The payment asked the updater to come after the response: no need to.
      $this->updater->updateOrder($order);
    });
  }

  /**
   * Writes news into a payment.
   */
  private function write(PaymentInterface $payment, PaymentNews $news, string $state): void {
    $payment->setRemoteState($news->remoteState)->set('waybill_at', $news->instant());
    if (!$payment->isNew() && PaymentWords::dispute($news->word) !== NULL) {
      // What is disputed may be a part: the payment stays as it was.
      return;
    }
    $is_completed = in_array($state, self::COMPLETED, TRUE);
    $amount = $is_completed ? $news->captured ?? $news->amount : $news->amount;
    $refunded = $news->refunded ?? ($state === 'refunded' ? $amount : $payment->getRefundedAmount());
    if ($refunded?->greaterThan($amount)) {
      throw Refusal::field('/refunded', 'More was refunded than paid.');
    }
    $payment->setState($state)->setAmount($amount)->set('refunded_amount', $refunded);
    if ($state === 'authorization' && !$payment->getAuthorizedTime()) {
      $payment->setAuthorizedTime($news->at->getTimestamp());
    }
    if ($is_completed && !$payment->isCompleted()) {
      $payment->setCompletedTime($news->at->getTimestamp());
    }
  }

  /**
   * Describes what news can change.
   */
  private function describe(OrderInterface $order, PaymentInterface $payment): array {
    return ['payment' => PaymentView::of($payment), 'dispute' => Dispute::of($order)];
  }

  /**
   * Refuses to bring a payment from its state to another.
   */
  private function illegal(PaymentInterface $payment, string $state, array $reachable): Refusal {
    $from = $payment->getState()->getId();
    $detail = sprintf('A payment that is "%s" does not become "%s". Allowed: %s.', $from, $state, implode(', ', $reachable));
    return new Refusal(409, 'payment_illegal', $detail, '/state', ['state' => $from, 'allowed' => $reachable]);
  }

  /**
   * Says what to note in the order's activity.
   */
  private function log(PaymentInterface $payment, PaymentNews $news): array {
    $template = PaymentWords::dispute($news->word) === NULL ? 'waybill_payment' : 'waybill_dispute';
    return [
      $template => [
        'remote_id' => $news->remoteId,
        'gateway' => $news->gateway,
        'word' => $news->word,
        'amount' => $payment->getBalance(),
        'dispute' => $news->dispute,
        'reason' => $news->reason,
      ],
    ];
  }

}
