<?php

declare(strict_types=1);

namespace Drupal\Tests\commerce_waybill_checkout\Kernel;

use Drupal\commerce_order\Entity\OrderInterface;
use Drupal\commerce_order\Entity\OrderType;
use Drupal\commerce_price\Price;
use Drupal\commerce_shipping\Entity\Shipment;
use Drupal\commerce_shipping\Entity\ShipmentInterface;
use Drupal\commerce_shipping\Entity\ShippingMethod;
use Drupal\commerce_shipping\ShipmentItem;
use Drupal\commerce_shipping\ShippingRate;
use Drupal\physical\Weight;

/**
 * A shipping rate from outside, on sites that ship.
 *
 * @group commerce_waybill
 */
class ShippingTest extends CheckoutKernelTestBase {

  /**
   * {@inheritdoc}
   */
  protected static $modules = ['physical', 'commerce_shipping'];

  /**
   * {@inheritdoc}
   */
  protected function setUp(): void {
    if (!class_exists(ShippingRate::class)) {
      $this->markTestSkipped('Needs the module commerce_shipping.');
    }
    parent::setUp();
    $this->installEntitySchema('commerce_shipping_method');
    $this->installEntitySchema('commerce_shipment');
    $this->installConfig(['profile', 'commerce_shipping']);
    OrderType::load('default')->setThirdPartySetting('commerce_shipping', 'shipment_type', 'default')->save();
    $this->container->get('commerce.configurable_field_manager')->createField(Shipment::buildShipmentsFieldDefinition('default'));
    $this->declare(['quote_endpoint' => 'https://waybill.example/quotes']);
  }

  /**
   * The rate that was asked for.
   */
  public function testTheQuotedRateIsOffered(): void {
    $this->amountAnswers('4.99');
    self::assertSame([['Express', '4.99 USD']], $this->rates($this->shipment()));
  }

  /**
   * What is in the parcel and where it goes: the whole question.
   */
  public function testTheQuestionIsAboutTheParcel(): void {
    $this->amountAnswers('4.99');
    $this->rates($this->shipment());
    self::assertSame([
      [
        'kind' => 'shipping',
        'currency_code' => 'USD',
        'question' => [
          'store' => (string) $this->store->id(),
          'service' => 'express',
          'destination' => ['country_code' => 'US', 'administrative_area' => 'SC', 'postal_code' => '29616'],
          'lines' => [
            [
              'sku' => 'SHIRT',
              'quantity' => '1',
              'total' => ['number' => '10', 'currency_code' => 'USD'],
              'weight' => ['number' => '0.2', 'unit' => 'kg'],
            ],
          ],
        ],
      ],
    ], $this->bodies());
  }

  /**
   * Nobody answers: the declared amount.
   */
  public function testTheFallbackIsOffered(): void {
    $this->nobodyAnswers();
    $fallback = ['number' => '7.00', 'currency_code' => 'USD'];
    self::assertSame([['Express', '7 USD']], $this->rates($this->shipment(), $fallback));
  }

  /**
   * Nobody answers: without an amount that can be charged, nothing is offered.
   */
  public function testWithoutFallbackNothingIsOffered(): void {
    $this->nobodyAnswers();
    $shipment = $this->shipment();
    self::assertSame([[], []], [
      $this->rates($shipment),
      $this->rates($shipment, ['number' => '7.00', 'currency_code' => 'EUR']),
    ]);
  }

  /**
   * While nobody knows where it goes, nobody asks.
   */
  public function testWithoutDestinationNobodyAsks(): void {
    $shipment = $this->shipment();
    $shipment->getShippingProfile()->set('address', NULL);
    self::assertSame([[], []], [$this->rates($shipment), $this->posted]);
  }

  /**
   * Tax depends on the shipping, less its promotion.
   */
  public function testTheTaxKnowsOfTheShipping(): void {
    $shipment = $this->shipment();
    $shipment->setAmount(new Price('5.00', 'USD'))->save();
    $order = $this->address($shipment->getOrder());
    $order->set('shipments', [$shipment]);
    $this->declare(['tax' => TRUE]);
    $this->amountAnswers('1.24');
    $order = $this->refresh($order);
    self::assertSame(['number' => '5', 'currency_code' => 'USD'], $this->bodies()[0]['question']['shipping']);
    self::assertSame(['shipping', 'tax'], array_map(static fn ($one): string => $one->getType(), $order->getAdjustments()));
  }

  /**
   * The module stays while a shipping method needs it.
   */
  public function testTheMethodKeepsTheModule(): void {
    $validate = fn (): array => $this->container->get('module_installer')->validateUninstall(['commerce_waybill_checkout']);
    self::assertSame([], $validate());
    $method = $this->method(NULL);
    self::assertSame('There are shipping methods of the kind "Waybill quote"', (string) $validate()['commerce_waybill_checkout'][0]);
    $method->delete();
    self::assertSame([], $validate());
  }

  /**
   * Makes a shipping method.
   */
  private function method(?array $fallback): ShippingMethod {
    $configuration = ['rate_label' => 'Express', 'service' => 'express', 'fallback' => $fallback];
    $method = ShippingMethod::create([
      'name' => 'Express',
      'stores' => [$this->store],
      'status' => TRUE,
      'plugin' => ['target_plugin_id' => 'waybill_quote', 'target_plugin_configuration' => $configuration],
    ]);
    $method->save();
    return $method;
  }

  /**
   * Makes a parcel with one of two shirts.
   */
  private function shipment(): ShipmentInterface {
    $order = $this->address($this->cartOf(2, $this->variation(5)));
    $order->save();
    $shipment = Shipment::create([
      'type' => 'default',
      'order_id' => $order->id(),
      'title' => 'Parcel',
      'shipping_profile' => $order->getBillingProfile()->createDuplicate(),
      'items' => [$this->part($order)],
    ]);
    $shipment->getShippingProfile()->save();
    $shipment->save();
    return $shipment;
  }

  /**
   * Takes one piece of the order's line.
   */
  private function part(OrderInterface $order): ShipmentItem {
    return new ShipmentItem([
      'order_item_id' => $order->getItems()[0]->id(),
      'title' => 'Shirt',
      'quantity' => '1.00',
      'weight' => new Weight('0.20', 'kg'),
      'declared_value' => new Price('10.00', 'USD'),
    ]);
  }

  /**
   * Lists what is offered: label and amount.
   */
  private function rates(ShipmentInterface $shipment, ?array $fallback = NULL): array {
    $rates = $this->method($fallback)->getPlugin()->calculateRates($shipment);
    $describe = static fn (ShippingRate $rate): array => [$rate->getService()->getLabel(), (string) $rate->getAmount()];
    return array_map($describe, $rates);
  }

}
