<?php

declare(strict_types=1);

namespace Drupal\Tests\commerce_waybill_orders\Kernel;

use Drupal\commerce_waybill\Snapshot\OrderSnapshot;

/**
 * What is held is not fulfilled, whoever asks.
 *
 * @group commerce_waybill
 */
class HoldTest extends OrdersKernelTestBase {

  /**
   * Held until it is released.
   */
  public function testHeldOrderIsNotFulfilled(): void {
    $order = $this->place();
    [$status, $answer] = $this->post($order, 'hold', ['hold' => TRUE, 'reason' => 'fraud_review']);
    self::assertSame([200, 'applied', 'fraud_review'], [$status, $answer['status'], $answer['hold']]);
    self::assertTrue($this->isFree($order));
    $refusal = [409, 'held', '', ['hold' => 'fraud_review', 'allowed' => ['cancel']]];
    self::assertSame($refusal, $this->refused($order, 'transition', ['transition' => 'fulfill']));
    self::assertSame($refusal, $this->refused($order, 'transition', ['to' => 'completed']));
    $parcel = ['id' => '1', 'state' => 'shipped', 'items' => [['sku' => 'Blue shirt', 'quantity' => '1']]];
    self::assertSame($refusal, $this->refused($order, 'shipments', ['shipments' => [$parcel]]));
    self::assertSame(
      ['cancel'],
      array_keys($this->stored($order)->getState()->getTransitions()),
      'Neither in the user interface.',
    );
    self::assertSame('', $this->post($order, 'hold', ['hold' => FALSE])[1]['hold']);
    self::assertSame('applied', $this->post($order, 'shipments', ['shipments' => [$parcel]])[1]['status']);
    self::assertSame(
      'completed',
      $this->post($order, 'transition', ['transition' => 'fulfill'])[1]['order']['state'],
    );
  }

  /**
   * The other transition that is held; placing an order never is.
   */
  public function testHeldOrderIsNotValidated(): void {
    $this->config('commerce_order.commerce_order_type.default')->set('workflow', 'order_fulfillment_validation')->save();
    $order = $this->cart();
    $this->post($order, 'hold', ['hold' => TRUE, 'reason' => 'fraud_review']);
    $order = $this->place($this->stored($order));
    self::assertSame('validation', $order->getState()->getId());
    self::assertSame(
      [409, 'held', '', ['hold' => 'fraud_review', 'allowed' => ['cancel']]],
      $this->refused($order, 'transition', ['transition' => 'validate']),
    );
  }

  /**
   * The same hold again is nothing new.
   */
  public function testTheSameHoldIsNotSaved(): void {
    $order = $this->place();
    $this->post($order, 'hold', ['hold' => TRUE, 'reason' => 'fraud_review']);
    $version = $this->stored($order)->getVersion();
    [$status, $answer] = $this->post($order, 'hold', ['hold' => TRUE, 'reason' => 'fraud_review']);
    self::assertSame(
      [200, 'unchanged', 'equal', $version],
      [$status, $answer['status'], $answer['reason'], $this->stored($order)->getVersion()],
    );
    self::assertTrue($this->isFree($order));
    self::assertSame([422, 'invalid', '/reason', []], $this->refused($order, 'hold', ['hold' => TRUE]));
    self::assertSame([422, 'invalid', '/hold', []], $this->refused($order, 'hold', ['hold' => 'yes']));
  }

  /**
   * A dispute holds the fulfilment until it is won.
   */
  public function testAnOpenDisputeHoldsUntilItIsWon(): void {
    $order = $this->place();
    $this->post($order, 'payments', $this->news('captured', '10:00:00'));
    $dispute = [
      'dispute' => ['id' => 'dp_1', 'reason' => 'fraudulent'],
      'amount' => $this->usd('5.00'),
      'remote_state' => 'needs_response',
    ];
    $answer = $this->post($order, 'payments', $this->news('disputed', '11:00:00', $dispute))[1];
    self::assertSame(['state' => 'open', 'id' => 'dp_1'], $answer['dispute']);
    self::assertSame(
      ['completed', $this->usd('21'), 'needs_response'],
      [$answer['payment']['state'], $answer['payment']['amount'], $answer['payment']['remote_state']],
    );
    self::assertSame(
      [409, 'held', '', ['hold' => 'dispute', 'allowed' => ['cancel']]],
      $this->refused($order, 'transition', ['transition' => 'fulfill']),
    );
    $other = ['dispute' => ['id' => 'dp_0']];
    self::assertSame(
      'open',
      $this->post($order, 'payments', $this->news('dispute_won', '11:30:00', $other))[1]['dispute']['state'],
      'That was another one.',
    );
    $answer = $this->post($order, 'payments', $this->news('dispute_won', '12:00:00', $dispute))[1];
    self::assertSame(['state' => 'won', 'id' => 'dp_1'], $answer['dispute']);
    self::assertSame(
      'unchanged',
      $this->post($order, 'payments', $this->news('disputed', '11:00:00', $dispute))[1]['status'],
      'Older news does not open it again.',
    );
    self::assertSame(
      'completed',
      $this->post($order, 'transition', ['transition' => 'fulfill'])[1]['order']['state'],
    );
  }

  /**
   * A dispute that is lost is not open either; the money is another matter.
   */
  public function testLostDisputeIsRecorded(): void {
    $order = $this->place();
    $this->post($order, 'payments', $this->news('disputed', '10:00:00', ['dispute' => ['id' => 'dp_1']]));
    $answer = $this->post($order, 'payments', $this->news('dispute_lost', '11:00:00', ['dispute' => ['id' => 'dp_1']]))[1];
    self::assertSame(
      [['state' => 'lost', 'id' => 'dp_1'], 'completed'],
      [$answer['dispute'], $answer['payment']['state']],
    );
    self::assertSame('21.00', $this->paid($order));
  }

  /**
   * A shop may decide otherwise.
   */
  public function testDisputeHoldsOnlyWhereItIsConfigured(): void {
    $this->config('commerce_waybill_orders.settings')->set('hold_on_dispute', FALSE)->save();
    $order = $this->place();
    $this->post($order, 'payments', $this->news('disputed'));
    self::assertSame('applied', $this->post($order, 'transition', ['transition' => 'fulfill'])[1]['status']);
    self::assertSame('open', $this->stored($order)->get('waybill_dispute')->value);
  }

  /**
   * The middleware sees it in the snapshot, and only when there is something.
   */
  public function testTheSnapshotSaysIt(): void {
    $order = $this->place();
    $snapshot = $this->container->get(OrderSnapshot::class);
    $keys = ['dispute' => 1, 'hold' => 1, 'shipments' => 1];
    self::assertSame([], array_intersect_key($snapshot->of((int) $order->id()), $keys));
    $parcel = ['id' => '1', 'state' => 'shipped', 'items' => [['sku' => 'Blue shirt', 'quantity' => '2']]];
    $shipments = $this->post($order, 'shipments', ['shipments' => [$parcel]])[1]['shipments'];
    $this->post($order, 'payments', $this->news('disputed', '10:00:00', ['dispute' => ['id' => 'dp_1']]));
    self::assertSame([
      'dispute' => ['state' => 'open', 'id' => 'dp_1'],
      'hold' => 'dispute',
      'shipments' => $shipments,
    ], array_intersect_key($snapshot->of((int) $order->id()), $keys));
  }

}
