<?php

declare(strict_types=1);

namespace Drupal\Tests\commerce_waybill_orders\Kernel;

use Drupal\commerce_order\Event\OrderEvents;
use Drupal\commerce_waybill\Outbox\Outbox;

/**
 * A payment comes to what its provider says of it.
 *
 * @group commerce_waybill
 */
class PaymentTest extends OrdersKernelTestBase {

  /**
   * Each word alone, for a payment that nobody knew.
   *
   * In one test, since a shop is slow to set up.
   */
  public function testEachStateIsApplied(): void {
    $expected = [
      'pending' => ['new', '21.00', '0.00', 'pending', NULL, NULL],
      'authorized' => ['authorization', '21.00', '0.00', 'authorized', '10:00', NULL],
      'partially_captured' => ['completed', '7.00', '0.00', 'partially_captured', NULL, '10:00'],
      'captured' => ['completed', '21.00', '0.00', 'captured', NULL, '10:00'],
      'voided' => ['authorization_voided', '21.00', '0.00', 'voided', NULL, NULL],
      'failed' => ['authorization_voided', '21.00', '0.00', 'failed', NULL, NULL],
      'partially_refunded' => ['partially_refunded', '21.00', '5.25', 'partially_refunded', NULL, '10:00'],
      'refunded' => ['refunded', '21.00', '21.00', 'refunded', NULL, '10:00'],
      'disputed' => ['completed', '21.00', '0.00', 'disputed', NULL, '10:00'],
      'dispute_won' => ['completed', '21.00', '0.00', 'dispute_won', NULL, '10:00'],
      'dispute_lost' => ['completed', '21.00', '0.00', 'dispute_lost', NULL, '10:00'],
    ];
    $more = [
      'partially_captured' => ['captured' => $this->usd('7.00')],
      'partially_refunded' => ['refunded' => $this->usd('5.25')],
    ];
    $found = [];
    foreach (array_keys($expected) as $word) {
      $order = $this->place();
      [$status] = $this->post($order, 'payments', $this->news($word, '10:00:00', ['remote_id' => "pi_$word"] + ($more[$word] ?? [])));
      self::assertSame(200, $status, $word);
      $found[$word] = $this->describe($this->payments($order)[0]);
    }
    self::assertSame($expected, $found);
  }

  /**
   * The answer, and a payment as its gateway would have made it.
   */
  public function testAnUnknownPaymentIsMade(): void {
    $order = $this->place();
    [$status, $answer] = $this->post($order, 'payments', $this->news('captured', '10:00:00', ['remote_state' => 'succeeded']));
    $payment = $this->payments($order)[0];
    self::assertSame([
      'status' => 'applied',
      'order' => ['uuid' => $order->uuid(), 'state' => 'fulfillment', 'version' => $order->getVersion() + 1],
      'payment' => [
        'uuid' => $payment->uuid(),
        'gateway' => 'card',
        'remote_id' => 'pi_1',
        'remote_state' => 'succeeded',
        'state' => 'completed',
        'amount' => $this->usd('21'),
        'refunded' => $this->usd('0'),
      ],
      'dispute' => NULL,
    ], $answer);
    self::assertSame([200, 'payment_default', 'test', '2026-03-01T10:00:00.000000Z'], [
      $status,
      $payment->bundle(),
      $payment->getPaymentGatewayMode(),
      $payment->get('waybill_at')->value,
    ]);
    self::assertTrue($this->isFree($order));
  }

  /**
   * The order is paid within the request, and tells so once.
   */
  public function testCapturedPaymentPaysTheOrder(): void {
    $order = $this->place();
    $seen = [];
    $this->container->get('event_dispatcher')->addListener(OrderEvents::ORDER_PAID, function () use ($order, &$seen): void {
      $seen[] = count($this->payments($order));
    });
    $this->post($order, 'payments', $this->news('captured'));
    self::assertSame([1], $seen, 'Whoever hears of it finds the payment.');
    self::assertSame(['21.00', TRUE], [$this->paid($order), $this->stored($order)->isPaid()]);
    self::assertSame(['order.placed', 'payment.inserted', 'order.paid'], array_column($this->outbox(), 0));
    $version = $this->stored($order)->getVersion();
    self::assertSame([$version, $version], array_slice(array_column($this->outbox(), 1), 1));
    $this->post($order, 'payments', $this->news('partially_refunded', '11:00:00', ['refunded' => $this->usd('1.00')]));
    self::assertSame('payment.updated', $this->outbox()[3][0]);
    self::assertCount(4, $this->container->get(Outbox::class)->rows([]));
    self::assertSame([1], $seen);
  }

  /**
   * A payment of the checkout is found, not made again.
   */
  public function testKnownPaymentIsChanged(): void {
    $order = $this->place();
    $payment = $this->pay($order, '21.00', 'authorization');
    $this->endRequest();
    $more = ['captured' => $this->usd('20.00'), 'remote_state' => 'succeeded'];
    $this->post($order, 'payments', $this->news('captured', '12:30:00', $more));
    $payments = $this->payments($order);
    self::assertSame([$payment->uuid()], array_map(static fn ($one) => $one->uuid(), $payments));
    self::assertSame(['completed', '20.00', '0.00', 'succeeded'], array_slice($this->describe($payments[0]), 0, 4));
    self::assertSame('12:30', $this->describe($payments[0])[5]);
    self::assertSame('20.00', $this->paid($order));
  }

  /**
   * What was given back is what was said, to the cent, not a sum.
   */
  public function testPartialRefundIsExact(): void {
    $order = $this->place();
    $this->post($order, 'payments', $this->news('captured'));
    $this->post($order, 'payments', $this->news('partially_refunded', '11:00:00', ['refunded' => $this->usd('0.10')]));
    $this->post($order, 'payments', $this->news('partially_refunded', '12:00:00', ['refunded' => $this->usd('0.30')]));
    self::assertSame(
      ['partially_refunded', '21.00', '0.30'],
      array_slice($this->describe($this->payments($order)[0]), 0, 3),
    );
    self::assertSame('20.70', $this->paid($order));
    $this->post($order, 'payments', $this->news('refunded', '13:00:00'));
    self::assertSame('0.00', $this->paid($order));
  }

  /**
   * Two payments of one order are added up.
   */
  public function testPaymentsAreAddedUp(): void {
    $order = $this->place();
    $this->post($order, 'payments', $this->news('captured', '10:00:00', ['amount' => $this->usd('8.00')]));
    $second = ['remote_id' => 'pi_2', 'amount' => $this->usd('13.00')];
    $this->post($order, 'payments', $this->news('captured', '10:00:00', $second));
    self::assertSame('21.00', $this->paid($order));
    self::assertContains('order.paid', array_column($this->outbox(), 0));
  }

  /**
   * The other workflow of Commerce has other states.
   */
  public function testManualPaymentHasItsOwnStates(): void {
    $order = $this->place();
    $bank = ['gateway' => 'bank', 'remote_id' => 'tr_1'];
    $this->post($order, 'payments', $this->news('pending', '10:00:00', $bank));
    self::assertSame(
      ['payment_manual', 'pending'],
      [$this->payments($order)[0]->bundle(), $this->payments($order)[0]->getState()->getId()],
    );
    $meta = ['states' => ['new', 'pending', 'completed', 'partially_refunded', 'refunded', 'voided']];
    self::assertSame(
      [422, 'invalid', '/state', $meta],
      $this->refused($order, 'payments', $this->news('authorized', '11:00:00', $bank)),
    );
    $this->post($order, 'payments', $this->news('voided', '11:00:00', $bank));
    self::assertSame('voided', $this->payments($order)[0]->getState()->getId());
  }

  /**
   * Late news does not undo what is known, and is not an error.
   */
  public function testOlderNewsIsPassedOver(): void {
    $order = $this->place();
    $this->post($order, 'payments', $this->news('captured', '10:00:00'));
    $version = $this->stored($order)->getVersion();
    [$status, $answer] = $this->post($order, 'payments', $this->news('authorized', '09:59:59.999999'));
    self::assertSame(
      [200, 'unchanged', 'older', 'completed'],
      [$status, $answer['status'], $answer['reason'], $answer['payment']['state']],
    );
    [$status, $answer] = $this->post($order, 'payments', $this->news('authorized', '10:00:00'));
    self::assertSame(
      [200, 'unchanged', 'older'],
      [$status, $answer['status'], $answer['reason']],
      'Of one instant, the workflow knows the order.',
    );
    self::assertSame($version, $this->stored($order)->getVersion());
    self::assertTrue($this->isFree($order));
  }

  /**
   * What is known already is not saved again.
   */
  public function testEqualNewsSavesNothing(): void {
    $order = $this->place();
    $this->post($order, 'payments', $this->news('captured'));
    [$version, $rows] = [$this->stored($order)->getVersion(), count($this->outbox())];
    [$status, $answer] = $this->post($order, 'payments', $this->news('captured', '10:00:01'));
    self::assertSame([200, 'unchanged', 'equal'], [$status, $answer['status'], $answer['reason']]);
    self::assertSame([$version, $rows], [$this->stored($order)->getVersion(), count($this->outbox())]);
    self::assertTrue($this->isFree($order));
  }

  /**
   * A payment goes only where its workflow leads.
   */
  public function testAnIllegalChangeNamesTheAllowedStates(): void {
    $order = $this->place();
    $this->post($order, 'payments', $this->news('refunded', '10:00:00'));
    $meta = ['state' => 'refunded', 'allowed' => ['refunded']];
    self::assertSame(
      [409, 'payment_illegal', '/state', $meta],
      $this->refused($order, 'payments', $this->news('authorized', '11:00:00')),
    );
    $other = $this->place();
    $this->post($other, 'payments', $this->news('captured', '10:00:00', ['remote_id' => 'pi_2']));
    $meta = ['state' => 'completed', 'allowed' => ['completed', 'partially_refunded', 'refunded']];
    self::assertSame(
      [409, 'payment_illegal', '/state', $meta],
      $this->refused($other, 'payments', $this->news('voided', '11:00:00', ['remote_id' => 'pi_2'])),
    );
    self::assertSame('completed', $this->payments($other)[0]->getState()->getId());
  }

  /**
   * News of a step may be lost: the next one still arrives.
   */
  public function testStepMayBeMissing(): void {
    $order = $this->place();
    $this->post($order, 'payments', $this->news('authorized', '10:00:00'));
    $this->post($order, 'payments', $this->news('partially_refunded', '11:00:00', ['refunded' => $this->usd('1.00')]));
    self::assertSame(
      ['partially_refunded', '21.00', '1.00', 'partially_refunded', '10:00', '11:00'],
      $this->describe($this->payments($order)[0]),
    );
    self::assertSame('20.00', $this->paid($order));
  }

  /**
   * Fields that are wrong are pointed at.
   */
  public function testTheBodyIsChecked(): void {
    $order = $this->place();
    $other = $this->place();
    $this->post($other, 'payments', $this->news('captured', '10:00:00', ['remote_id' => 'pi_other']));
    $wrong = [
      '/state' => ['state' => 'paid'],
      '/gateway' => ['gateway' => 'barter'],
      '/amount/number' => ['amount' => $this->usd('21.001')],
      '/amount/currency_code' => ['amount' => ['number' => '21.00', 'currency_code' => 'EUR']],
      '/captured/number' => ['captured' => $this->usd('-1')],
      '/refunded' => ['refunded' => $this->usd('21.01')],
      '/amount' => ['amount' => '21.00'],
      '/at' => ['at' => '2026-02-30T10:00:00Z'],
      '/remote_id' => ['remote_id' => 'pi_other'],
    ];
    $found = [];
    foreach ($wrong as $pointer => $change) {
      [$status, $code, $at] = $this->refused($order, 'payments', $change + $this->news('captured'));
      self::assertSame([422, 'invalid'], [$status, $code], $pointer);
      $found[] = $at;
    }
    self::assertSame(array_keys($wrong), $found);
    self::assertSame(
      [422, 'invalid', '/amount/number', []],
      $this->refused($order, 'payments', ['amount' => ['number' => 21, 'currency_code' => 'USD']] + $this->news('captured')),
    );
    self::assertSame(
      [422, 'invalid', '/captured', []],
      $this->refused($order, 'payments', $this->news('partially_captured')),
    );
    self::assertSame('field_unknown', $this->refused($order, 'payments', $this->news('captured') + ['fee' => 1])[1]);
    self::assertSame([], $this->payments($order));
  }

}
