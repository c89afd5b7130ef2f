<?php

declare(strict_types=1);

namespace Drupal\Tests\commerce_waybill_orders\Kernel;

use Drupal\commerce_order\Entity\OrderInterface;
use Drupal\commerce_payment\Entity\PaymentInterface;
use Drupal\commerce_price\Price;
use Drupal\commerce_waybill_orders\Calls;
use Drupal\Core\Lock\LockBackendInterface;
use Drupal\Tests\commerce_waybill\Kernel\WaybillKernelTestBase;
use Drupal\user\Entity\Role;
use Symfony\Component\HttpFoundation\Response;

/**
 * A shop with orders to fulfil, and a middleware that may do so.
 */
abstract class OrdersKernelTestBase extends WaybillKernelTestBase {

  /**
   * {@inheritdoc}
   */
  protected static $modules = ['commerce_waybill_orders'];

  /**
   * {@inheritdoc}
   */
  protected function setUp(): void {
    parent::setUp();
    $this->installSchema('commerce_waybill_orders', [Calls::TABLE]);
    $this->installConfig(['commerce_waybill_orders']);
    $this->config('commerce_order.commerce_order_type.default')->set('workflow', 'order_fulfillment')->save();
    $role = Role::load('waybill');
    $role->grantPermission('use commerce_waybill orders')->grantPermission('use commerce_waybill payments')->save();
    $this->createUser([], 'waybill')->addRole('waybill')->save();
    $this->container->get('router.builder')->rebuildIfNeeded();
    // Kernel tests have a lock that locks nothing.
    $this->container->set('lock', new MemoryLock());
    $this->container->get('entity_type.manager')->clearCachedDefinitions();
  }

  /**
   * Posts to a route of an order.
   *
   * @param \Drupal\commerce_order\Entity\OrderInterface $order
   *   The order.
   * @param string $route
   *   The last part of the path.
   * @param mixed $body
   *   What to send; a text as it is.
   * @param string|null $key
   *   The key of the call, a new one each time unless given.
   */
  protected function call(OrderInterface $order, string $route, mixed $body, ?string $key = NULL): Response {
    $target = '/waybill/v1/orders/' . $order->uuid() . '/' . $route;
    $raw = is_string($body) ? $body : json_encode($body);
    return $this->answer($this->signed('POST', $target, $raw, [], ['Idempotency-Key' => $key ?? bin2hex(random_bytes(8))]));
  }

  /**
   * Posts, and gives the status with the decoded answer.
   *
   * @return array{0: int, 1: mixed}
   *   Both.
   */
  protected function post(OrderInterface $order, string $route, mixed $body, ?string $key = NULL): array {
    $response = $this->call($order, $route, $body, $key);
    return [$response->getStatusCode(), json_decode((string) $response->getContent(), TRUE)];
  }

  /**
   * Posts what is refused: status, code, pointer, meta.
   */
  protected function refused(OrderInterface $order, string $route, mixed $body, ?string $key = NULL): array {
    [$status, $answer] = $this->post($order, $route, $body, $key);
    self::assertSame(['errors'], array_values(array_diff(array_keys($answer), ['meta'])));
    [$error] = $answer['errors'];
    self::assertSame((string) $status, $error['status']);
    self::assertNotSame('', $error['detail']);
    self::assertTrue($this->isFree($order), 'The lock was given back.');
    return [$status, $error['code'], $error['source']['pointer'] ?? '', $answer['meta'] ?? []];
  }

  /**
   * Tells of a payment.
   */
  protected function news(string $state, string $at = '10:00:00', array $more = []): array {
    return $more + [
      'gateway' => 'card',
      'remote_id' => 'pi_1',
      'state' => $state,
      'amount' => $this->usd('21.00'),
      'at' => "2026-03-01T{$at}Z",
    ];
  }

  /**
   * Gives an amount as it is sent.
   */
  protected function usd(string $number): array {
    return ['number' => $number, 'currency_code' => 'USD'];
  }

  /**
   * Gives the order as it is stored.
   */
  protected function stored(OrderInterface $order): OrderInterface {
    return $this->container->get('entity_type.manager')->getStorage('commerce_order')->loadUnchanged($order->id());
  }

  /**
   * Gives the payments of an order as they are stored.
   *
   * @return \Drupal\commerce_payment\Entity\PaymentInterface[]
   *   The payments.
   */
  protected function payments(OrderInterface $order): array {
    $storage = $this->container->get('entity_type.manager')->getStorage('commerce_payment');
    $storage->resetCache();
    return array_values($storage->loadMultipleByOrder($order));
  }

  /**
   * Says what a payment is: state, amount, refunded, remote state, times.
   */
  protected function describe(PaymentInterface $payment): array {
    $number = static fn (?Price $price): ?string => $price?->getNumber() === NULL ? NULL : number_format((float) $price->getNumber(), 2);
    return [
      $payment->getState()->getId(),
      $number($payment->getAmount()),
      $number($payment->getRefundedAmount()),
      $payment->getRemoteState(),
      $payment->getAuthorizedTime() ? gmdate('H:i', $payment->getAuthorizedTime()) : NULL,
      $payment->getCompletedTime() ? gmdate('H:i', $payment->getCompletedTime()) : NULL,
    ];
  }

  /**
   * Gives what an order has got.
   */
  protected function paid(OrderInterface $order): string {
    return number_format((float) $this->stored($order)->getTotalPaid()->getNumber(), 2);
  }

  /**
   * Counts the calls that were answered.
   */
  protected function callCount(): int {
    return (int) $this->container->get('database')->select(Calls::TABLE)->countQuery()->execute()->fetchField();
  }

  /**
   * Whether nobody has the lock of an order.
   */
  protected function isFree(OrderInterface $order): bool {
    return $this->lock()->lockMayBeAvailable('commerce_order_update:' . $order->id());
  }

  /**
   * Gets the lock.
   */
  protected function lock(): LockBackendInterface {
    return $this->container->get('lock');
  }

}
