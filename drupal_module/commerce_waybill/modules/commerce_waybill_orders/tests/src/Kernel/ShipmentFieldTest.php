<?php

declare(strict_types=1);

namespace Drupal\Tests\commerce_waybill_orders\Kernel;

/**
 * Shipments of a shop without Commerce Shipping.
 *
 * @group commerce_waybill
 */
class ShipmentFieldTest extends OrdersKernelTestBase {

  /**
   * Kept with the order, and shown; a second parcel beside the first.
   */
  public function testShipmentsAreKeptWithTheOrder(): void {
    $order = $this->place();
    $line = $order->getItems()[0]->uuid();
    $first = [
      'id' => 'OUT/17',
      'state' => 'shipped',
      'tracking_code' => '00340434161094042557',
      'carrier' => 'DHL',
      'tracking_url' => 'https://dhl.example/17',
      'shipped_at' => '2026-03-01T12:00:00+01:00',
      'items' => [['sku' => 'Blue shirt', 'quantity' => '1.00']],
    ];
    $kept = [
      'shipped_at' => '2026-03-01T11:00:00+00:00',
      'items' => [['uuid' => $line, 'sku' => 'Blue shirt', 'quantity' => '1']],
    ] + $first;
    [$status, $answer] = $this->post($order, 'shipments', ['shipments' => [$first]]);
    self::assertSame([200, 'applied', 'waybill_shipments'], [$status, $answer['status'], $answer['kept_as']]);
    self::assertEquals([$kept], $answer['shipments']);
    self::assertTrue($this->isFree($order));
    $blank = ['tracking_code' => '', 'carrier' => '', 'tracking_url' => '', 'shipped_at' => ''];
    $second = ['id' => '18', 'state' => 'shipped', 'items' => [['uuid' => $line, 'quantity' => '1']]];
    $this->post($order, 'shipments', ['shipments' => [$second]]);
    $this->post($order, 'shipments', ['shipments' => [['id' => 'OUT/17', 'state' => 'delivered']]]);
    $shown = $this->send('GET', '/waybill/v1/orders/' . $order->uuid())[1]['shipments'];
    self::assertEquals([
      ['state' => 'delivered'] + $kept,
      ['items' => $kept['items']] + $second + $blank,
    ], $shown);
  }

  /**
   * What is known already is not saved again.
   */
  public function testEqualShipmentsAreNotSaved(): void {
    $order = $this->place();
    $parcel = ['id' => '17', 'state' => 'shipped', 'items' => [['sku' => 'Blue shirt', 'quantity' => '2']]];
    $this->post($order, 'shipments', ['shipments' => [$parcel]]);
    $version = $this->stored($order)->getVersion();
    $answer = $this->post($order, 'shipments', ['shipments' => [$parcel]])[1];
    self::assertSame(
      ['unchanged', 'equal', $version],
      [$answer['status'], $answer['reason'], $this->stored($order)->getVersion()],
    );
    self::assertTrue($this->isFree($order));
  }

  /**
   * A parcel whose content the ERP does not name carries what is left.
   */
  public function testParcelWithoutItemsCarriesTheRest(): void {
    $order = $this->place();
    $this->post($order, 'shipments', [
      'shipments' => [
        ['id' => '17', 'state' => 'shipped', 'items' => [['sku' => 'Blue shirt', 'quantity' => '0.50']]],
        ['id' => '18', 'state' => 'shipped'],
        ['id' => '19', 'state' => 'shipped'],
      ],
    ]);
    $shown = $this->send('GET', '/waybill/v1/orders/' . $order->uuid())[1]['shipments'];
    self::assertSame([['0.5'], ['1.5'], []], array_map(static fn (array $one): array => array_column($one['items'], 'quantity'), $shown));
  }

  /**
   * Fields that are wrong are pointed at.
   */
  public function testTheBodyIsChecked(): void {
    $order = $this->place();
    $parcel = ['id' => '17', 'state' => 'shipped', 'items' => [['sku' => 'Blue shirt', 'quantity' => '2']]];
    $wrong = [
      '/shipments/0/id' => ['id' => ''],
      '/shipments/0/state' => ['state' => 'lost'],
      '/shipments/0/items' => ['items' => []],
      '/shipments/0/items/0/sku' => ['items' => [['sku' => 'Red shirt', 'quantity' => '1']]],
      '/shipments/0/items/0/quantity' => ['items' => [['sku' => 'Blue shirt', 'quantity' => '3']]],
      '/shipments/0/tracking_url' => ['tracking_url' => 'javascript:alert(1)'],
      '/shipments/0/shipped_at' => ['shipped_at' => 'yesterday'],
    ];
    $found = [];
    foreach ($wrong as $change) {
      $found[] = $this->refused($order, 'shipments', ['shipments' => [$change + $parcel]])[2];
    }
    self::assertSame(array_keys($wrong), $found);
    self::assertSame([422, 'invalid', '/shipments', []], $this->refused($order, 'shipments', ['shipments' => []]));
  }

}
