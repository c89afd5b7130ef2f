<?php

declare(strict_types=1);

namespace Drupal\Tests\commerce_waybill\Kernel;

use Drupal\commerce_price\Price;
use Drupal\commerce_waybill\Outbox\Deliverer;
use Drupal\commerce_waybill\Outbox\Outbox;
use Drupal\commerce_waybill\Signing\SigningKey;
use GuzzleHttp\Exception\ConnectException;
use GuzzleHttp\Psr7\Request;

/**
 * Nothing that happened is lost, and checkout never pays for it.
 *
 * @group commerce_waybill
 */
class OutboxTest extends WaybillKernelTestBase {

  /**
   * A cart is nobody's business; a placed order is told once.
   */
  public function testPlacingOrderLeavesOneRow(): void {
    $order = $this->cart();
    $order->setEmail('grace@example.com')->save();
    self::assertSame([], $this->outbox());
    $order = $this->place($order);
    self::assertSame([['order.placed', $order->getVersion(), 'pending']], $this->outbox());
  }

  /**
   * The row is in the order's transaction.
   */
  public function testTheRollbackTakesTheRowAlong(): void {
    // Drupal makes this table when it is needed, and MariaDB commits then.
    $this->container->get('router.builder')->rebuild();
    $order = $this->cart();
    $transaction = $this->container->get('database')->startTransaction();
    $this->place($order);
    self::assertCount(1, $this->outbox());
    $transaction->rollBack();
    unset($transaction);
    self::assertSame([], $this->outbox());
    self::assertSame('draft', $this->reloadEntity($order)->getState()->getId());
  }

  /**
   * A payment is told at once, its order when the request ends.
   */
  public function testThePaymentTellsOfItselfAndOfThePaidOrder(): void {
    $order = $this->place();
    $payment = $this->pay($order);
    $this->container->get('commerce_payment.order_updater')->destruct();
    $payment->setRefundedAmount(new Price('5.00', 'USD'))->setState('partially_refunded')->save();
    $events = array_column($this->outbox(), 0);
    self::assertSame(['order.placed', 'payment.inserted', 'order.paid', 'payment.updated'], $events);
  }

  /**
   * The other transitions, and a plain change.
   */
  public function testChangesOfPlacedOrderAreTold(): void {
    $this->config('commerce_order.commerce_order_type.default')->set('workflow', 'order_fulfillment')->save();
    $order = $this->place();
    $order->set('mail', 'grace@example.com')->save();
    $order->getState()->applyTransitionById('fulfill');
    $order->save();
    $other = $this->place();
    $other->getState()->applyTransitionById('cancel');
    $other->save();
    self::assertSame(
      ['order.placed', 'order.updated', 'order.fulfilled', 'order.placed', 'order.cancelled'],
      array_column($this->outbox(), 0),
    );
  }

  /**
   * What was not chosen is not recorded.
   */
  public function testOnlyChosenEventsAreRecorded(): void {
    $this->config('commerce_waybill.settings')->set('events', ['payment.inserted'])->save();
    $this->pay($this->place());
    self::assertSame(['payment.inserted'], array_column($this->outbox(), 0));
  }

  /**
   * After the response, signed so that the other side can verify it.
   */
  public function testTheEndOfTheRequestDelivers(): void {
    $order = $this->place();
    $this->middlewareAnswers(200);
    $this->endRequest();
    self::assertSame('delivered', $this->outbox()[0][2]);
    $request = $this->posted[0]['request'];
    $row = $this->container->get(Outbox::class)->rows([])[0];
    $body = (string) $request->getBody();
    self::assertSame($row->delivery_id, $request->getHeaderLine('webhook-id'));
    self::assertSame('https://waybill.example/webhooks/shop', (string) $request->getUri());
    self::assertSame($order->uuid(), $request->getHeaderLine('X-Correlation-ID'));
    $signed = $row->delivery_id . '.' . $request->getHeaderLine('webhook-timestamp') . '.' . $body;
    $signature = base64_encode(hash_hmac('sha256', $signed, SigningKey::bytes(self::SECRET), TRUE));
    self::assertSame("v1,$signature", $request->getHeaderLine('webhook-signature'));
    $message = json_decode($body, TRUE);
    self::assertSame(['order.placed', 1], [$message['type'], $message['sequence']]);
    self::assertSame($order->uuid(), $message['data']['order']['uuid']);
  }

  /**
   * PHP died between the save and the send: cron finds the row.
   */
  public function testWhatCrashLeftIsDeliveredByCron(): void {
    $this->place();
    $this->middlewareAnswers(200);
    commerce_waybill_cron();
    self::assertSame('delivered', $this->outbox()[0][2]);
    self::assertCount(1, $this->posted);
  }

  /**
   * A deliverer that died in the middle holds its row only for a while.
   */
  public function testTheDeadDelivererLosesItsClaim(): void {
    $this->place();
    $outbox = $this->container->get(Outbox::class);
    $id = $outbox->due(10)[0];
    self::assertNotNull($outbox->claim($id));
    self::assertSame([], $outbox->due(10));
    $this->makeDue();
    self::assertSame([$id], $outbox->due(10));
    self::assertSame(2, $outbox->claim($id)->attempts);
  }

  /**
   * Two deliverers that know the same rows send each once.
   */
  public function testTwoDeliverersShareTheRows(): void {
    $this->place();
    $this->place();
    $outbox = $this->container->get(Outbox::class);
    $ids = $outbox->due(10);
    $taken = $outbox->claim($ids[0]);
    $this->middlewareAnswers(200, 200);
    self::assertSame(1, $this->container->get(Deliverer::class)->deliver($ids, 10.0));
    self::assertNull($outbox->claim($ids[1]));
    $outbox->end($taken, 'delivered');
    self::assertCount(1, $this->posted);
  }

  /**
   * The number grows with the content, whichever row goes first.
   */
  public function testNumbersFollowTheContent(): void {
    $order = $this->place();
    $order->set('mail', 'grace@example.com')->save();
    [$first, $second] = $this->container->get(Outbox::class)->due(10);
    $this->middlewareAnswers(200, 500, 200);
    $deliverer = $this->container->get(Deliverer::class);
    $deliverer->deliver([$second], 10.0);
    $deliverer->deliver([$first], 10.0);
    $this->makeDue();
    $order = $this->reloadEntity($order);
    $order->set('mail', 'linus@example.com')->save();
    $deliverer->deliver([$first], 10.0);
    $said = array_map(static fn (array $body): array => [$body['sequence'], $body['data']['order']['mail']], $this->bodies());
    self::assertSame([[1, 'grace@example.com'], [2, 'grace@example.com'], [3, 'linus@example.com']], $said);
  }

  /**
   * A middleware that is away costs one timeout, not one for each row.
   */
  public function testTheMiddlewareThatIsAwayIsLeftAlone(): void {
    $this->place();
    $this->place();
    $this->middleware->append(new ConnectException('Connection refused', new Request('POST', '/')));
    $this->endRequest();
    self::assertCount(1, $this->posted);
    $this->place();
    $this->endRequest();
    self::assertCount(1, $this->posted);
    self::assertSame(['pending', 'pending', 'pending'], array_column($this->outbox(), 2));
    $this->makeDue();
    $this->middlewareAnswers(200, 200, 200);
    self::assertSame(3, $this->container->get(Deliverer::class)->deliverDue(10.0));
  }

  /**
   * Whatever the snapshot throws, the order is placed and the row waits.
   */
  public function testTheSnapshotThatThrowsHurtsNobody(): void {
    $order = $this->place();
    $this->container->get('database')->schema()->dropTable('commerce_payment');
    $this->endRequest();
    self::assertSame('completed', $this->reloadEntity($order)->getState()->getId());
    $row = $this->container->get(Outbox::class)->rows([])[0];
    self::assertSame(['pending', '1'], [$row->status, (string) $row->attempts]);
    self::assertStringContainsString('DatabaseExceptionWrapper', $row->error);
    self::assertStringNotContainsString('SELECT', $row->error);
  }

  /**
   * Given up after so many attempts, visible, and tried again by a person.
   */
  public function testTheRowThatFailsTooOftenIsDeadUntilItIsRetried(): void {
    $this->config('commerce_waybill.settings')->set('attempts', 2)->save();
    $this->place();
    $outbox = $this->container->get(Outbox::class);
    foreach ([500, 401] as $status) {
      $this->middlewareAnswers($status);
      $this->makeDue();
      $this->container->get(Deliverer::class)->deliverDue(10.0);
    }
    $row = $outbox->rows(['status' => 'dead'])[0];
    self::assertSame('The middleware answered HTTP 401.', $row->error);
    self::assertSame(['pending' => 0, 'oldest' => NULL, 'dead' => 1, 'last_success' => NULL], $outbox->summary());
    self::assertSame(1, $outbox->retry());
    $this->middlewareAnswers(200);
    self::assertSame(1, $this->container->get(Deliverer::class)->deliverDue(10.0));
  }

  /**
   * Rows that ended are forgotten by age, what waits never.
   */
  public function testPurgeForgetsOnlyWhatEndedLongAgo(): void {
    $this->place();
    $this->place();
    $this->place();
    $outbox = $this->container->get(Outbox::class);
    [$old, $dead] = array_map($outbox->claim(...), $outbox->due(2));
    $outbox->end($old, 'delivered');
    $outbox->end($dead, 'dead', 'given up');
    $this->container->get('database')->update(Outbox::TABLE)->fields(['finished' => \Drupal::time()->getCurrentTime() - 15 * 86400])->execute();
    $outbox->purge();
    self::assertSame(['dead', 'pending'], array_column($this->outbox(), 2));
  }

  /**
   * An order that was deleted has nothing left to tell.
   */
  public function testTheDeletedOrderIsSkipped(): void {
    $order = $this->place();
    $order->delete();
    $this->endRequest();
    self::assertSame('skipped', $this->outbox()[0][2]);
    self::assertSame([], $this->posted);
  }

  /**
   * Without an endpoint, or without a secret, events wait.
   */
  public function testWithoutEndpointOrSecretEventsWait(): void {
    $this->config('commerce_waybill.settings')->set('endpoint', '')->save();
    $this->place();
    $this->endRequest();
    self::assertSame('0', (string) $this->container->get(Outbox::class)->rows([])[0]->attempts);
    $this->config('commerce_waybill.settings')->set('endpoint', 'https://waybill.example/')->set('secret', 'settings:absent')->save();
    $this->place();
    $this->endRequest();
    self::assertSame([], $this->posted);
    self::assertStringContainsString('InvalidArgumentException', $this->container->get(Outbox::class)->rows([])[0]->error);
  }

}
