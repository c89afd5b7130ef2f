<?php

declare(strict_types=1);

namespace Drupal\Tests\commerce_waybill_orders\Kernel;

use Drupal\user\Entity\Role;

/**
 * Who may do what, and what an order looks like to the middleware.
 *
 * @group commerce_waybill
 */
class AccessTest extends OrdersKernelTestBase {

  /**
   * Orders and payments are permitted apart.
   */
  public function testEachPurposeHasItsPermission(): void {
    $order = $this->place();
    $parcel = ['id' => '1', 'state' => 'shipped', 'items' => [['sku' => 'Blue shirt', 'quantity' => '1']]];
    $bodies = [
      'transition' => ['transition' => 'fulfill'],
      'references' => ['erp_number' => 'SO-17'],
      'shipments' => ['shipments' => [$parcel]],
      'hold' => ['hold' => TRUE, 'reason' => 'fraud_review'],
      'payments' => $this->news('captured'),
    ];
    $statuses = function () use ($order, $bodies): array {
      $found = [$this->send('GET', '/waybill/v1/orders/' . $order->uuid())[0]];
      foreach ($bodies as $route => $body) {
        $found[] = $this->post($order, $route, $body)[0];
      }
      return $found;
    };
    Role::load('waybill')->revokePermission('use commerce_waybill payments')->save();
    self::assertSame([200, 200, 200, 200, 200, 403], $statuses());
    $role = Role::load('waybill')->revokePermission('use commerce_waybill orders');
    $role->grantPermission('use commerce_waybill payments')->save();
    self::assertSame([403, 403, 403, 403, 403, 200], $statuses());
  }

  /**
   * Without a signature, and with another content type.
   */
  public function testStrangersAreRefused(): void {
    $order = $this->place();
    $request = $this->signed('POST', '/waybill/v1/orders/' . $order->uuid() . '/hold', '{"hold":true,"reason":"x"}');
    $request->headers->remove('Signature');
    $request->headers->remove('Signature-Input');
    self::assertContains($this->answer($request)->getStatusCode(), [401, 403]);
    $request = $this->signed('POST', '/waybill/v1/orders/' . $order->uuid() . '/hold', 'hold', [], ['Content-Type' => 'text/plain']);
    self::assertSame(415, $this->answer($request)->getStatusCode());
    self::assertSame('', (string) $this->stored($order)->get('waybill_hold')->value);
  }

  /**
   * Everything of an order.
   */
  public function testAnOrderIsShown(): void {
    $order = $this->place();
    $more = ['amount' => $this->usd('20.00'), 'remote_state' => 'succeeded'];
    $this->post($order, 'payments', $this->news('captured', '10:00:00', $more));
    $payment = $this->payments($order)[0];
    [$status, $answer] = $this->send('GET', '/waybill/v1/orders/' . $order->uuid());
    self::assertSame([
      'uuid' => $order->uuid(),
      'state' => 'fulfillment',
      'version' => $order->getVersion() + 1,
      'transitions' => ['fulfill', 'cancel'],
      'total' => $this->usd('21'),
      'balance' => $this->usd('1'),
      'payments' => [
        [
          'uuid' => $payment->uuid(),
          'gateway' => 'card',
          'remote_id' => 'pi_1',
          'remote_state' => 'succeeded',
          'state' => 'completed',
          'amount' => $this->usd('20'),
          'refunded' => $this->usd('0'),
        ],
      ],
      'dispute' => NULL,
      'hold' => '',
      'shipments' => [],
      'references' => ['erp_number' => '', 'erp_status' => '', 'links' => [], 'synced' => NULL, 'run' => ''],
      'customer_status' => ['situation' => 'received', 'text' => 'We have received your order.'],
    ], $answer);
    self::assertSame(200, $status);
    self::assertTrue($this->isFree($order));
  }

}
