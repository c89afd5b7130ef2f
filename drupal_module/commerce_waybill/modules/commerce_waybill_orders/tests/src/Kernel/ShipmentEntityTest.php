<?php

declare(strict_types=1);

namespace Drupal\Tests\commerce_waybill_orders\Kernel;

use Drupal\commerce_order\Entity\OrderInterface;
use Drupal\commerce_order\Entity\OrderType;
use Drupal\commerce_price\Price;
use Drupal\commerce_shipping\Entity\Shipment;
use Drupal\commerce_shipping\Entity\ShipmentInterface;
use Drupal\commerce_shipping\ShipmentItem;
use Drupal\physical\Weight;

/**
 * Shipments of a shop with Commerce Shipping.
 *
 * @group commerce_waybill
 */
class ShipmentEntityTest extends OrdersKernelTestBase {

  /**
   * {@inheritdoc}
   */
  protected static $modules = ['physical', 'path', 'commerce_shipping'];

  /**
   * {@inheritdoc}
   */
  protected function setUp(): void {
    parent::setUp();
    $this->installEntitySchema('commerce_shipping_method');
    $this->installEntitySchema('commerce_shipment');
    $this->installConfig(['profile', 'commerce_shipping']);
    $type = OrderType::load('default');
    $type->setThirdPartySetting('commerce_shipping', 'shipment_type', 'default')->save();
    $field = Shipment::buildShipmentsFieldDefinition('default');
    $this->container->get('commerce.configurable_field_manager')->createField($field);
  }

  /**
   * A parcel with all of it is the shipment that the checkout made.
   */
  public function testTheShipmentOfTheCheckoutIsSent(): void {
    $order = $this->placeWithShipment();
    [$made] = $this->shipments($order);
    self::assertSame('ready', $made->getState()->getId());
    $parcel = $this->parcel('17', '2') + [
      'tracking_code' => '00340434161094042557',
      'carrier' => 'DHL',
      'tracking_url' => 'https://dhl.example/17',
      'shipped_at' => '2026-03-01T11:00:00+00:00',
    ];
    [$status, $answer] = $this->post($order, 'shipments', ['shipments' => [$parcel]]);
    self::assertSame([200, 'applied', 'commerce_shipment'], [$status, $answer['status'], $answer['kept_as']]);
    self::assertTrue($this->isFree($order));
    $shipments = $this->shipments($order);
    self::assertSame([$made->uuid()], array_map(static fn ($one) => $one->uuid(), $shipments));
    self::assertSame(['shipped', '00340434161094042557', '2.00', '2026-03-01T11:00:00', '4.90'], [
      $shipments[0]->getState()->getId(),
      $shipments[0]->getTrackingCode(),
      number_format((float) $shipments[0]->getTotalQuantity(), 2),
      gmdate('Y-m-d\TH:i:s', $shipments[0]->getShippedTime()),
      number_format((float) $shipments[0]->getAmount()->getNumber(), 2),
    ]);
    self::assertEquals(
      $answer['shipments'],
      $this->send('GET', '/waybill/v1/orders/' . $order->uuid())[1]['shipments'],
    );
    $version = $this->stored($order)->getVersion();
    self::assertSame('unchanged', $this->post($order, 'shipments', ['shipments' => [$parcel]])[1]['status']);
    self::assertSame(
      'applied',
      $this->post($order, 'shipments', ['shipments' => [['id' => '17', 'state' => 'delivered']]])[1]['status'],
    );
    self::assertSame(
      'delivered',
      $this->send('GET', '/waybill/v1/orders/' . $order->uuid())[1]['shipments'][0]['state'],
    );
    self::assertSame($version + 1, $this->stored($order)->getVersion());
  }

  /**
   * A smaller parcel is split off, and the rest follows.
   */
  public function testShipmentIsSplit(): void {
    $order = $this->placeWithShipment();
    [$made] = $this->shipments($order);
    $this->post($order, 'shipments', ['shipments' => [$this->parcel('17', '1')]]);
    self::assertSame([['', 'ready', '1'], ['17', 'shipped', '1']], $this->summary($order));
    self::assertSame(2, $this->stored($order)->get('shipments')->count());
    $this->post($order, 'shipments', ['shipments' => [$this->parcel('18', '1')]]);
    self::assertSame([['18', 'shipped', '1'], ['17', 'shipped', '1']], $this->summary($order));
    self::assertSame($made->uuid(), $this->shipments($order)[0]->uuid());
  }

  /**
   * Two parcels in one call, where the checkout made nothing.
   */
  public function testShipmentsAreMade(): void {
    $order = $this->place();
    $body = ['shipments' => [$this->parcel('17', '1'), $this->parcel('18', '1')]];
    self::assertSame('applied', $this->post($order, 'shipments', $body)[1]['status']);
    self::assertSame([['17', 'shipped', '1'], ['18', 'shipped', '1']], $this->summary($order));
    $ids = array_map(static fn ($one) => $one->id(), $this->shipments($order));
    self::assertEquals($ids, array_column($this->stored($order)->get('shipments')->getValue(), 'target_id'));
    self::assertSame(
      'on_its_way',
      $this->send('GET', '/waybill/v1/orders/' . $order->uuid())[1]['customer_status']['situation'],
    );
  }

  /**
   * What was sent cannot be cancelled: nothing of the call is kept.
   */
  public function testShipmentGoesOnlyAlongItsWorkflow(): void {
    $order = $this->place();
    $this->post($order, 'shipments', ['shipments' => [$this->parcel('17', '1')]]);
    $version = $this->stored($order)->getVersion();
    $body = ['shipments' => [$this->parcel('18', '1'), ['id' => '17', 'state' => 'canceled']]];
    self::assertSame(
      [409, 'shipment_illegal', '/shipments', ['state' => 'shipped', 'allowed' => []]],
      $this->refused($order, 'shipments', $body),
    );
    self::assertSame(
      [[['17', 'shipped', '1']], $version, 1],
      [$this->summary($order), $this->stored($order)->getVersion(), $this->callCount()],
    );
  }

  /**
   * A held order's shipments cannot be sent by hand either.
   */
  public function testHeldShipmentIsNotSentByHand(): void {
    $order = $this->placeWithShipment();
    $this->post($order, 'hold', ['hold' => TRUE, 'reason' => 'fraud_review']);
    self::assertSame(['cancel'], array_keys($this->shipments($order)[0]->getState()->getTransitions()));
    $this->post($order, 'hold', ['hold' => FALSE]);
    self::assertSame(['ship', 'cancel'], array_keys($this->shipments($order)[0]->getState()->getTransitions()));
  }

  /**
   * Places an order with the shipment that a checkout makes.
   */
  private function placeWithShipment(): OrderInterface {
    $order = $this->cart();
    [$item] = $order->getItems();
    $shipment = Shipment::create([
      'type' => 'default',
      'order_id' => $order->id(),
      'title' => 'Shipment #1',
      'amount' => new Price('4.90', 'USD'),
      'items' => [
        new ShipmentItem([
          'order_item_id' => $item->id(),
          'title' => $item->getTitle(),
          'quantity' => $item->getQuantity(),
          'weight' => new Weight('0', 'g'),
          'declared_value' => $item->getTotalPrice(),
        ]),
      ],
    ]);
    $shipment->save();
    $order->set('shipments', [$shipment])->save();
    return $this->place($this->reloadEntity($order));
  }

  /**
   * A parcel as the middleware tells of it.
   */
  private function parcel(string $id, string $quantity): array {
    return ['id' => $id, 'state' => 'shipped', 'items' => [['sku' => 'Blue shirt', 'quantity' => $quantity]]];
  }

  /**
   * Gives the shipments of an order as they are stored.
   *
   * @return \Drupal\commerce_shipping\Entity\ShipmentInterface[]
   *   The shipments.
   */
  private function shipments(OrderInterface $order): array {
    $storage = $this->container->get('entity_type.manager')->getStorage('commerce_shipment');
    $storage->resetCache();
    return array_values($storage->loadByProperties(['order_id' => $order->id()]));
  }

  /**
   * Says what the shipments of an order are: id, state, quantity.
   */
  private function summary(OrderInterface $order): array {
    return array_map(static fn (ShipmentInterface $shipment): array => [
      $shipment->getData('waybill', [])['id'] ?? '',
      $shipment->getState()->getId(),
      rtrim(rtrim(sprintf('%.2f', $shipment->getTotalQuantity()), '0'), '.'),
    ], $this->shipments($order));
  }

}
