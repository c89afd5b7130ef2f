<?php

declare(strict_types=1);

namespace Drupal\Tests\commerce_waybill_storefront\Kernel;

use Drupal\commerce_order\Entity\OrderInterface;
use Drupal\commerce_payment\Entity\PaymentGateway;
use Drupal\commerce_payment\Event\FailedPaymentEvent;
use Drupal\commerce_payment\Event\PaymentEvents;
use Drupal\commerce_payment\Exception\DeclineException;
use Drupal\commerce_payment\Exception\PaymentGatewayException;
use Drupal\commerce_price\Price;
use Drupal\commerce_stripe\Event\PaymentIntentEvent;
use Drupal\commerce_waybill\Outbox\Outbox;
use Drupal\commerce_waybill_storefront\AbandonedCarts;
use Drupal\commerce_waybill_storefront\ShownTotals;
use Drupal\Tests\commerce_waybill\Kernel\WaybillKernelTestBase;

/**
 * What the storefront sees of a cart until it is an order.
 *
 * @group commerce_waybill
 */
class StorefrontTest extends WaybillKernelTestBase {

  /**
   * {@inheritdoc}
   */
  protected static $modules = [
    'commerce_cart',
    'commerce_checkout',
    'commerce_waybill_storefront',
  ];

  /**
   * {@inheritdoc}
   */
  protected function setUp(): void {
    parent::setUp();
    $this->installConfig(['commerce_checkout', 'commerce_waybill_storefront']);
    $this->container->get('module_handler')->loadInclude('commerce_waybill_storefront', 'install');
    commerce_waybill_storefront_install(FALSE);
  }

  /**
   * Lists the signals of an event: what each says.
   */
  private function signals(string $event): array {
    $rows = array_reverse($this->container->get(Outbox::class)->rows(['event' => $event]));
    return array_map(static fn (object $row): array => json_decode($row->data, TRUE), $rows);
  }

  /**
   * A new cart is told once, whatever happens to it later.
   */
  public function testNewCartIsToldOnce(): void {
    $cart = $this->cart(['cart' => TRUE]);
    $cart->setEmail('grace@example.com')->save();
    $this->cart(['cart' => FALSE]);
    self::assertSame([['order' => $cart->uuid()]], $this->signals('cart.created'));
  }

  /**
   * Each step of the checkout is told when it is reached.
   */
  public function testEachStepIsToldWhenItIsReached(): void {
    $cart = $this->cart(['cart' => TRUE]);
    foreach (['order_information', 'order_information', 'review'] as $step) {
      $cart->set('checkout_step', $step)->save();
    }
    self::assertSame(['order_information', 'review'], array_column($this->signals('checkout.step'), 'step'));
  }

  /**
   * A cart that rests long enough is told once; one without lines never.
   */
  public function testAbandonedCartsAreToldOnce(): void {
    $cart = $this->cart(['cart' => TRUE]);
    $this->cart(['cart' => TRUE, 'order_items' => []]);
    self::assertSame(0, $this->container->get(AbandonedCarts::class)->tell());
    $this->container->get('database')->update('commerce_order')->fields(['changed' => \Drupal::time()->getCurrentTime() - 90000])->execute();
    $this->container->get('entity_type.manager')->getStorage('commerce_order')->resetCache();
    commerce_waybill_storefront_cron();
    commerce_waybill_storefront_cron();
    self::assertSame([['order' => $cart->uuid()]], $this->signals('cart.abandoned'));
  }

  /**
   * The total that was shown last stands beside the one that is charged.
   */
  public function testTheShownTotalStandsBesideTheChargedOne(): void {
    $cart = $this->cart(['cart' => TRUE]);
    $this->container->get(ShownTotals::class)->note($cart);
    $items = $cart->getItems();
    $items[0]->setUnitPrice(new Price('11.00', 'USD'), TRUE)->save();
    $this->place($this->reloadEntity($cart));
    [$said] = $this->signals('checkout.total');
    $number = static fn (array $price): float => (float) $price['number'];
    self::assertSame([$cart->uuid(), 21.0, 22.0], [$said['order'], $number($said['shown']), $number($said['charged'])]);
    self::assertNull($this->container->get(ShownTotals::class)->take($cart));
  }

  /**
   * An order that was never shown in a checkout says nothing of totals.
   */
  public function testStaffOrderSaysNothingOfTotals(): void {
    $this->place();
    self::assertSame([], $this->signals('checkout.total'));
  }

  /**
   * Each attempt to pay is told with its outcome and its duration.
   */
  public function testEachAttemptToPayIsTold(): void {
    $cart = $this->cart(['cart' => TRUE]);
    $this->decline($cart, new DeclineException('insufficient funds of Ada'));
    $this->decline($cart, new PaymentGatewayException('time-out'));
    $this->pay($cart);
    $this->pay($this->place($this->reloadEntity($cart)));
    $said = $this->signals('payment.attempted');
    self::assertSame(['declined', 'failed', 'succeeded'], array_column($said, 'outcome'));
    self::assertSame([TRUE, TRUE, TRUE], array_map(static fn (array $one): bool => $one['seconds'] >= 0 && $one['seconds'] < 600, $said));
    self::assertStringNotContainsString('Ada', serialize($said));
  }

  /**
   * A signal is delivered as its contract says, and never holds the order.
   */
  public function testTheSignalIsDeliveredWithoutTheOrder(): void {
    $cart = $this->cart(['cart' => TRUE]);
    $this->middlewareAnswers(200);
    $this->endRequest();
    [$body] = $this->bodies();
    self::assertSame([
      'type' => 'cart.created',
      'timestamp' => $body['timestamp'],
      'correlation_id' => $cart->uuid(),
      'data' => ['signal' => ['order' => $cart->uuid()]],
    ], $body);
  }

  /**
   * A Stripe payment carries the order's uuid, beside what is there already.
   */
  public function testStripePaymentCarriesTheOrder(): void {
    if (!class_exists(PaymentIntentEvent::class)) {
      require_once __DIR__ . '/../../fixtures/PaymentIntentEvent.php';
    }
    $cart = $this->cart(['cart' => TRUE]);
    $event = new PaymentIntentEvent($cart, ['amount' => 2100, 'metadata' => ['campaign' => 'spring']]);
    $this->container->get('event_dispatcher')->dispatch($event, 'commerce_stripe.payment_intent_create');
    $metadata = ['order_uuid' => $cart->uuid(), 'correlation_id' => $cart->uuid(), 'campaign' => 'spring'];
    self::assertSame(['amount' => 2100, 'metadata' => $metadata], $event->getIntentAttributes());
  }

  /**
   * Uninstalling takes the events and the memory along.
   */
  public function testUninstallTakesItsEventsAlong(): void {
    $settings = fn (): array => $this->config('commerce_waybill.settings')->get('events');
    self::assertContains('cart.created', $settings());
    commerce_waybill_storefront_uninstall(FALSE);
    self::assertSame(['order.placed', 'payment.updated'], [$settings()[0], array_reverse($settings())[0]]);
    self::assertCount(7, $settings());
  }

  /**
   * Lets a gateway fail.
   */
  private function decline(OrderInterface $order, PaymentGatewayException $exception): void {
    $event = new FailedPaymentEvent($order, PaymentGateway::load('card'), $exception);
    $this->container->get('event_dispatcher')->dispatch($event, PaymentEvents::PAYMENT_FAILURE);
  }

}
