<?php

declare(strict_types=1);

namespace Drupal\Tests\commerce_waybill\Kernel;

use Drupal\commerce_order\Adjustment;
use Drupal\commerce_price\Calculator;
use Drupal\commerce_price\Price;
use Drupal\commerce_waybill\Snapshot\OrderSnapshot;
use Drupal\profile\Entity\Profile;

/**
 * The snapshot says the whole order in the shape of its contract.
 *
 * @group commerce_waybill
 */
class SnapshotTest extends WaybillKernelTestBase {

  /**
   * Everything of a paid order with an adjustment and an address.
   */
  public function testItSaysTheWholeOrder(): void {
    $address = [
      'country_code' => 'US',
      'postal_code' => '53177',
      'locality' => 'Milwaukee',
      'address_line1' => 'Pabst Blue Ribbon Dr',
      'administrative_area' => 'WI',
      'given_name' => 'Ada',
      'family_name' => 'Łukasz',
    ];
    $profile = Profile::create(['type' => 'customer', 'uid' => 0, 'address' => $address]);
    $profile->save();
    $order = $this->cart(['billing_profile' => $profile, 'order_number' => '1001']);
    $order->addAdjustment(new Adjustment([
      'type' => 'fee',
      'label' => 'Gift wrap',
      'amount' => new Price('1.25', 'USD'),
      'locked' => TRUE,
    ]));
    $order = $this->place($order);
    $payment = $this->pay($order, '22.25');
    $this->container->get('commerce_payment.order_updater')->destruct();
    $order = $this->reloadEntity($order);
    $expected = [
      'uuid' => $order->uuid(),
      'internal_id' => $order->id(),
      'number' => '1001',
      'version' => $order->getVersion(),
      'state' => 'completed',
      'store' => ['uuid' => $this->store->uuid(), 'id' => $this->store->id()],
      'currency' => 'USD',
      'mail' => 'ada@example.com',
      'language' => 'en',
      'placed' => gmdate('Y-m-d\TH:i:s+00:00', (int) $order->getPlacedTime()),
      'changed' => gmdate('Y-m-d\TH:i:s+00:00', (int) $order->getChangedTime()),
      'items' => [
        [
          'uuid' => $order->getItems()[0]->uuid(),
          'sku' => 'Blue shirt',
          'title' => 'Blue shirt',
          'quantity' => '2',
          'unit_price' => ['number' => '10.5', 'currency_code' => 'USD'],
          'total_price' => ['number' => '21', 'currency_code' => 'USD'],
          'adjustments' => [],
        ],
      ],
      'adjustments' => [
        [
          'type' => 'fee',
          'label' => 'Gift wrap',
          'amount' => ['number' => '1.25', 'currency_code' => 'USD'],
          'included' => FALSE,
        ],
      ],
      'total_price' => ['number' => '22.25', 'currency_code' => 'USD'],
      'billing_profile' => [
        'address' => [
          'given_name' => 'Ada',
          'family_name' => 'Łukasz',
          'organization' => '',
          'address_line1' => 'Pabst Blue Ribbon Dr',
          'address_line2' => '',
          'postal_code' => '53177',
          'locality' => 'Milwaukee',
          'administrative_area' => 'WI',
          'country_code' => 'US',
        ],
      ],
      'shipping_profile' => NULL,
      'payments' => [
        [
          'uuid' => $payment->uuid(),
          'gateway' => 'card',
          'remote_id' => 'pi_1',
          'state' => 'completed',
          'amount' => ['number' => '22.25', 'currency_code' => 'USD'],
          'refunded_amount' => ['number' => '0', 'currency_code' => 'USD'],
        ],
      ],
    ];
    $snapshot = $this->container->get(OrderSnapshot::class)->of((int) $order->id());
    // Databases differ in the zeros that they keep behind the point.
    array_walk_recursive($snapshot, static function (mixed &$value, string|int $key): void {
      $value = in_array($key, ['number', 'quantity'], TRUE) && $value !== '1001' ? Calculator::trim($value) : $value;
    });
    self::assertSame($expected, $snapshot);
  }

  /**
   * A cart without lines has a total of nothing in the store's currency.
   */
  public function testEmptyCartHasTotal(): void {
    $order = $this->cart(['order_items' => []]);
    $snapshot = $this->container->get(OrderSnapshot::class)->of((int) $order->id());
    self::assertSame(['number' => '0', 'currency_code' => 'USD'], $snapshot['total_price']);
    self::assertNull($snapshot['placed']);
  }

  /**
   * An order that does not exist has no snapshot.
   */
  public function testAbsentOrderHasNone(): void {
    self::assertNull($this->container->get(OrderSnapshot::class)->of(404));
  }

}
