<?php

declare(strict_types=1);

namespace Drupal\Tests\commerce_waybill_orders\Kernel;

use Drupal\commerce_order\Event\OrderEvents;
use Drupal\commerce_waybill_orders\Action\ApplyPayment;
use Drupal\commerce_waybill_orders\Calls;
use Drupal\commerce_waybill_orders\Desk;
use Drupal\Core\Entity\EntityStorageException;
use Symfony\Component\HttpFoundation\Request;

/**
 * A call has one effect, or none, and nobody is locked out by it.
 *
 * @group commerce_waybill
 */
class CallTest extends OrdersKernelTestBase {

  /**
   * The same call again is answered as before, and does nothing.
   */
  public function testRepeatedKeyIsOneEffect(): void {
    $order = $this->place();
    $first = $this->call($order, 'payments', $this->news('captured'), 'call-1');
    $version = $this->stored($order)->getVersion();
    $second = $this->call($order, 'payments', $this->news('captured'), 'call-1');
    self::assertSame($first->getContent(), $second->getContent());
    self::assertSame([200, NULL, 200, 'true'], [
      $first->getStatusCode(),
      $first->headers->get('Idempotent-Replayed'),
      $second->getStatusCode(),
      $second->headers->get('Idempotent-Replayed'),
    ]);
    self::assertSame(
      [$order->getVersion() + 1, 1, 1],
      [$version, count($this->payments($order)), $this->callCount()],
    );
    self::assertSame($version, $this->stored($order)->getVersion());
    self::assertTrue($this->isFree($order));
  }

  /**
   * The first answer stands, even if things have moved on.
   */
  public function testRepeatedKeyIsAnsweredAsItWas(): void {
    $order = $this->place();
    $first = $this->call($order, 'hold', ['hold' => TRUE, 'reason' => 'fraud_review'], 'call-1');
    $this->call($order, 'hold', ['hold' => FALSE], 'call-2');
    $again = $this->call($order, 'hold', ['hold' => TRUE, 'reason' => 'fraud_review'], 'call-1');
    self::assertSame($first->getContent(), $again->getContent());
    self::assertSame('', (string) $this->stored($order)->get('waybill_hold')->value);
  }

  /**
   * A key stands for one body, one operation and one order.
   */
  public function testKeyForSomethingElseIsRefused(): void {
    $order = $this->place();
    $other = $this->place();
    $body = ['hold' => TRUE, 'reason' => 'fraud_review'];
    $this->call($order, 'hold', $body, 'call-1');
    $refusal = [422, 'key_reused', '', []];
    self::assertSame($refusal, $this->refused($order, 'hold', ['hold' => FALSE], 'call-1'));
    self::assertSame($refusal, $this->refused($order, 'transition', ['transition' => 'fulfill'], 'call-1'));
    self::assertSame($refusal, $this->refused($other, 'hold', $body, 'call-1'));
    self::assertSame('fraud_review', $this->stored($order)->get('waybill_hold')->value);
  }

  /**
   * Without a key nothing is done.
   */
  public function testKeyIsRequired(): void {
    $order = $this->place();
    foreach (['', ' ', 'schlüssel', str_repeat('k', 256)] as $key) {
      self::assertSame(
        [400, 'key_missing', '', []],
        $this->refused($order, 'hold', ['hold' => TRUE, 'reason' => 'x'], $key),
      );
    }
    self::assertSame(200, $this->post($order, 'hold', ['hold' => TRUE, 'reason' => 'x'], str_repeat('k', 255))[0]);
  }

  /**
   * What was refused is tried anew, what was in place already is not.
   */
  public function testRefusalIsNotKept(): void {
    $order = $this->place();
    $this->post($order, 'hold', ['hold' => TRUE, 'reason' => 'fraud_review']);
    self::assertSame(409, $this->post($order, 'transition', ['transition' => 'fulfill'], 'call-1')[0]);
    $this->post($order, 'hold', ['hold' => FALSE]);
    self::assertSame(200, $this->post($order, 'transition', ['transition' => 'fulfill'], 'call-1')[0]);
    self::assertSame(['unchanged', 4], [
      $this->post($order, 'transition', ['transition' => 'fulfill'], 'call-2')[1]['status'],
      $this->callCount(),
    ]);
  }

  /**
   * The same call came through between load and save: one effect, its answer.
   */
  public function testTwoCallsAtOnceAreOneEffect(): void {
    $order = $this->place();
    $body = $this->news('captured');
    $hash = hash('sha256', "payments\n" . $order->uuid() . "\n" . json_encode($body));
    $this->meanwhile('call-1', $hash, '{"status":"applied","by":"the other one"}');
    $response = $this->call($order, 'payments', $body, 'call-1');
    self::assertSame([200, '{"status":"applied","by":"the other one"}', 'true'], [
      $response->getStatusCode(),
      $response->getContent(),
      $response->headers->get('Idempotent-Replayed'),
    ]);
    self::assertSame(
      [[], '0.00', $order->getVersion()],
      [$this->payments($order), $this->paid($order), $this->stored($order)->getVersion()],
    );
    self::assertSame(['order.placed'], array_column($this->outbox(), 0));
    self::assertTrue($this->isFree($order));
  }

  /**
   * Another call with the same key came through: refused, without an effect.
   */
  public function testAnotherCallAtOnceIsRefused(): void {
    $order = $this->place();
    $this->meanwhile('call-1', str_repeat('0', 64), '{}');
    self::assertSame(
      [422, 'key_reused', '', []],
      $this->refused($order, 'transition', ['transition' => 'fulfill'], 'call-1'),
    );
    self::assertSame('fulfillment', $this->stored($order)->getState()->getId());
  }

  /**
   * Whatever is thrown inside the save takes effect and key along.
   */
  public function testCrashLeavesNeitherEffectNorKey(): void {
    $order = $this->place();
    $dispatcher = $this->container->get('event_dispatcher');
    $crash = static fn () => throw new \RuntimeException('The lights went out.');
    $dispatcher->addListener(OrderEvents::ORDER_UPDATE, $crash, -2000);
    $request = Request::create('/', 'POST', [], [], [], [], json_encode($this->news('captured')));
    $request->headers->set('Idempotency-Key', 'call-1');
    $action = $this->container->get(ApplyPayment::class);
    try {
      $this->container->get(Desk::class)->take($request, $order->uuid(), 'payments', $action);
      self::fail('It did not crash.');
    }
    catch (EntityStorageException $exception) {
      self::assertSame('The lights went out.', $exception->getMessage());
    }
    $dispatcher->removeListener(OrderEvents::ORDER_UPDATE, $crash);
    self::assertSame(
      [0, [], '0.00', ['order.placed']],
      [$this->callCount(), $this->payments($order), $this->paid($order), array_column($this->outbox(), 0)],
    );
    self::assertTrue($this->isFree($order));
    // Nothing of it lingers: the updater finds nothing to do, and the same
    // call is done.
    $this->endRequest();
    self::assertSame('0.00', $this->paid($order));
    self::assertSame('applied', $this->post($order, 'payments', $this->news('captured'), 'call-1')[1]['status']);
    self::assertSame([1, 1, '21.00'], [$this->callCount(), count($this->payments($order)), $this->paid($order)]);
  }

  /**
   * While somebody else has the lock: later.
   */
  public function testLockedOrderIsForLater(): void {
    $order = $this->place();
    $this->lock()->elsewhere = ['commerce_order_update:' . $order->id()];
    [$status, $answer] = $this->post($order, 'transition', ['transition' => 'fulfill'], 'call-1');
    self::assertSame(
      [409, 'order_busy', ['retryable' => TRUE]],
      [$status, $answer['errors'][0]['code'], $answer['meta']],
    );
    $this->lock()->elsewhere = [];
    self::assertSame(
      'applied',
      $this->post($order, 'transition', ['transition' => 'fulfill'], 'call-1')[1]['status'],
    );
  }

  /**
   * The lock is held until what is saved can be seen by others.
   */
  public function testTheLockIsHeldWhileTheOrderIsSaved(): void {
    $order = $this->place();
    $seen = [];
    $this->container->get('event_dispatcher')->addListener(OrderEvents::ORDER_UPDATE, function () use ($order, &$seen): void {
      $seen[] = $this->isFree($order);
    });
    $this->post($order, 'payments', $this->news('captured'));
    self::assertSame([[FALSE], TRUE], [$seen, $this->isFree($order)]);
  }

  /**
   * An order that does not exist.
   */
  public function testAnUnknownOrderIsNotFound(): void {
    $order = $this->place();
    $order->set('uuid', '00000000-0000-4000-8000-000000000000');
    $refusal = [404, 'order_unknown', '', ['uuid' => $order->uuid()]];
    self::assertSame($refusal, $this->refused($order, 'hold', ['hold' => FALSE]));
    [$status, $answer] = $this->send('GET', '/waybill/v1/orders/' . $order->uuid());
    self::assertSame([404, 'order_unknown'], [$status, $answer['errors'][0]['code']]);
  }

  /**
   * Calls are forgotten when nobody can repeat them any more.
   */
  public function testCronForgetsOldCalls(): void {
    $order = $this->place();
    $this->post($order, 'hold', ['hold' => TRUE, 'reason' => 'old'], 'old');
    $then = \Drupal::time()->getCurrentTime() - 90 * 86400 - 1;
    $this->container->get('database')->update(Calls::TABLE)->fields(['created' => $then])->execute();
    $this->post($order, 'hold', ['hold' => TRUE, 'reason' => 'new'], 'new');
    commerce_waybill_orders_cron();
    $left = $this->container->get('database')->select(Calls::TABLE, 'c')->fields('c', ['key_hash'])->execute()->fetchCol();
    self::assertSame([hash('sha256', 'new')], $left);
  }

  /**
   * Keeps an answer under a key after the next call has looked for one.
   */
  private function meanwhile(string $key, string $body_hash, string $answer): void {
    $database = $this->container->get('database');
    $calls = new RacedCalls($database, $this->container->get('datetime.time'));
    $calls->meanwhile = static fn () => $database->insert(Calls::TABLE)->fields([
      'key_hash' => hash('sha256', $key),
      'operation' => 'payments',
      'order_id' => 1,
      'body_hash' => $body_hash,
      'answer' => $answer,
      'status' => 200,
      'created' => 1,
    ])->execute();
    $this->container->set(Calls::class, $calls);
  }

  /**
   * The order's page lists what came back, newest first.
   */
  public function testTheOrderListsWhatCameBack(): void {
    $order = $this->place();
    $this->post($order, 'references', ['erp_number' => 'SO-17']);
    $this->post($order, 'references', ['erp_number' => 'SO-17']);
    $came = $this->container->get('module_handler')->invokeAll('commerce_waybill_came_back', [$order]);
    $found = array_map(static fn (array $row): array => [$row['what'], $row['outcome']], $came);
    self::assertEqualsCanonicalizing([['references', 'applied'], ['references', 'unchanged']], $found);
    self::assertSame([], $this->container->get('module_handler')->invokeAll('commerce_waybill_came_back', [$this->place()]));
  }

}
