<?php

declare(strict_types=1);

namespace Drupal\Tests\commerce_waybill\Kernel;

use Drupal\commerce_order\Entity\Order;
use Drupal\commerce_order\Entity\OrderInterface;
use Drupal\commerce_order\Entity\OrderItem;
use Drupal\commerce_payment\Entity\Payment;
use Drupal\commerce_payment\Entity\PaymentGateway;
use Drupal\commerce_payment\Entity\PaymentInterface;
use Drupal\commerce_price\Price;
use Drupal\commerce_waybill\Outbox\Flusher;
use Drupal\commerce_waybill\Outbox\Outbox;
use Drupal\Tests\commerce_order\Kernel\OrderKernelTestBase;
use GuzzleHttp\Client;
use GuzzleHttp\Handler\MockHandler;
use GuzzleHttp\HandlerStack;
use GuzzleHttp\Middleware;
use GuzzleHttp\Psr7\Response;

/**
 * A shop whose middleware is a list of prepared answers.
 */
abstract class WaybillKernelTestBase extends OrderKernelTestBase {

  use SignsRequestsTrait;

  /**
   * {@inheritdoc}
   */
  protected static $modules = [
    'serialization',
    'basic_auth',
    'jsonapi',
    'file',
    'commerce_payment',
    'commerce_payment_example',
    'commerce_waybill',
  ];

  /**
   * What the middleware answers next.
   */
  protected MockHandler $middleware;

  /**
   * What was posted to the middleware.
   *
   * @var array[]
   */
  protected array $posted = [];

  /**
   * {@inheritdoc}
   */
  protected function setUp(): void {
    parent::setUp();
    // The first account may do everything; nobody is it in these tests.
    $this->createUser();
    $this->installEntitySchema('commerce_payment');
    $this->installEntitySchema('commerce_payment_method');
    $this->installSchema('commerce_waybill', [Outbox::TABLE, 'commerce_waybill_number', 'commerce_waybill_nonce']);
    $this->installConfig(['commerce_payment', 'commerce_waybill']);
    $this->middleware = new MockHandler();
    $stack = HandlerStack::create($this->middleware);
    $stack->push(Middleware::history($this->posted));
    $this->container->set('http_client', new Client(['handler' => $stack]));
    $this->setSetting('waybill_test', self::SECRET);
    $this->config('commerce_waybill.settings')
      ->set('endpoint', 'https://waybill.example/webhooks/shop')
      ->set('secret', 'settings:waybill_test')
      ->set('site_tag', self::TAG)
      ->set('keys', [['id' => self::KEY, 'secret' => 'settings:waybill_test', 'account' => 'waybill']])
      ->save();
    PaymentGateway::create(['id' => 'card', 'label' => 'Card', 'plugin' => 'example_onsite'])->save();
    PaymentGateway::create(['id' => 'bank', 'label' => 'Bank', 'plugin' => 'manual'])->save();
  }

  /**
   * Makes the middleware answer with these statuses, in turn.
   */
  protected function middlewareAnswers(int ...$statuses): void {
    foreach ($statuses as $status) {
      $this->middleware->append(new Response($status));
    }
  }

  /**
   * Makes a cart with one line of 2 × 10.50 USD.
   */
  protected function cart(array $values = []): OrderInterface {
    $item = OrderItem::create([
      'type' => 'test',
      'title' => 'Blue shirt',
      'quantity' => '2',
      'unit_price' => new Price('10.50', 'USD'),
    ]);
    $item->save();
    $order = Order::create($values + [
      'type' => 'default',
      'store_id' => $this->store->id(),
      'mail' => 'ada@example.com',
      'order_items' => [$item],
      'state' => 'draft',
    ]);
    $order->save();
    return $this->reloadEntity($order);
  }

  /**
   * Places an order.
   */
  protected function place(?OrderInterface $order = NULL): OrderInterface {
    $order ??= $this->cart();
    $order->getState()->applyTransitionById('place');
    $order->save();
    return $this->reloadEntity($order);
  }

  /**
   * Pays an order by card.
   */
  protected function pay(OrderInterface $order, string $amount = '21.00', string $state = 'completed'): PaymentInterface {
    $payment = Payment::create([
      'type' => 'payment_default',
      'payment_gateway' => 'card',
      'order_id' => $order->id(),
      'amount' => new Price($amount, 'USD'),
      'remote_id' => 'pi_1',
      'state' => $state,
    ]);
    $payment->save();
    return $payment;
  }

  /**
   * Ends the request as the kernel does, in its order.
   */
  protected function endRequest(): void {
    $this->container->get('commerce_payment.order_updater')->destruct();
    $this->container->get(Flusher::class)->destruct();
  }

  /**
   * Lists the outbox, oldest first: event, order version, status.
   */
  protected function outbox(): array {
    $rows = array_reverse($this->container->get(Outbox::class)->rows([]));
    return array_map(static fn (object $row): array => [$row->event, (int) $row->version, $row->status], $rows);
  }

  /**
   * Lists the decoded bodies that were posted.
   */
  protected function bodies(): array {
    return array_map(static fn (array $exchange): array => json_decode((string) $exchange['request']->getBody(), TRUE), $this->posted);
  }

  /**
   * Lets time pass for everything that waits in the outbox.
   */
  protected function makeDue(): void {
    $this->container->get('database')->update(Outbox::TABLE)->fields(['due' => 0, 'claimed_until' => 0])->execute();
    $this->container->get('keyvalue.expirable')->get('commerce_waybill')->delete('down');
  }

}
