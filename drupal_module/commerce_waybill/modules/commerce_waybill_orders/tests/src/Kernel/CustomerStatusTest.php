<?php

declare(strict_types=1);

namespace Drupal\Tests\commerce_waybill_orders\Kernel;

use Drupal\commerce_order\Entity\OrderInterface;
use Drupal\commerce_waybill_orders\CustomerStatus;
use Drupal\commerce_waybill_orders\Form\SettingsForm;
use Drupal\Core\Form\FormState;
use Drupal\user\Entity\Role;

/**
 * What a customer reads of an order.
 *
 * @group commerce_waybill
 */
class CustomerStatusTest extends OrdersKernelTestBase {

  /**
   * From the cart to the refund.
   */
  public function testEachSituationHasItsWords(): void {
    $cart = $this->cart();
    self::assertSame(['cart', ''], $this->status($cart));
    $order = $this->place($cart);
    $found = [$this->status($order)];
    $this->post($order, 'payments', $this->news('pending', '10:00:00'));
    $found[] = $this->status($order);
    $this->post($order, 'payments', $this->news('authorized', '10:01:00'));
    $found[] = $this->status($order);
    $this->post($order, 'payments', $this->news('captured', '10:02:00'));
    $found[] = $this->status($order);
    $this->post($order, 'payments', $this->news('partially_refunded', '10:03:00', ['refunded' => $this->usd('1.00')]));
    $found[] = $this->status($order);
    $this->post($order, 'hold', ['hold' => TRUE, 'reason' => 'fraud_review']);
    $found[] = $this->status($order);
    $this->post($order, 'hold', ['hold' => FALSE]);
    foreach ([['17', 'shipped'], ['18', 'shipped'], ['17', 'delivered'], ['18', 'delivered']] as [$id, $state]) {
      $parcel = ['id' => $id, 'state' => $state, 'items' => [['sku' => 'Blue shirt', 'quantity' => '1']]];
      $this->post($order, 'shipments', ['shipments' => [$parcel]]);
      $found[] = $this->status($order);
    }
    $this->post($order, 'transition', ['transition' => 'fulfill']);
    $found[] = $this->status($order);
    $this->post($order, 'payments', $this->news('refunded', '11:00:00'));
    $found[] = $this->status($order);
    self::assertSame([
      ['received', 'We have received your order.'],
      ['payment_pending', 'We are waiting for your payment to be confirmed.'],
      ['received', 'We have received your order.'],
      ['paid_preparing', 'Payment received, we are preparing your order.'],
      ['paid_preparing', 'Payment received, we are preparing your order.'],
      ['under_review', 'We are looking through your order before we prepare it.'],
      ['partially_shipped', 'A part of your order is on its way.'],
      ['on_its_way', 'Your order is on its way.'],
      ['on_its_way', 'Your order is on its way.'],
      ['delivered', 'Your order was delivered.'],
      ['delivered', 'Your order was delivered.'],
      ['refunded', 'Your order was refunded.'],
    ], $found);
  }

  /**
   * The ends without a parcel.
   */
  public function testAnOrderWithoutParcelsEnds(): void {
    $order = $this->place();
    $this->post($order, 'payments', $this->news('captured'));
    $this->post($order, 'transition', ['transition' => 'fulfill']);
    self::assertSame(['completed', 'Your order is complete.'], $this->status($order));
    $other = $this->place();
    $this->post($other, 'transition', ['transition' => 'cancel']);
    self::assertSame(['cancelled', 'Your order was cancelled.'], $this->status($other));
  }

  /**
   * A payment that failed is not the customer's to read as a failure.
   */
  public function testFailedPaymentIsNotShownAsFailure(): void {
    $order = $this->place();
    $this->post($order, 'payments', $this->news('failed'));
    self::assertSame(['received', 'We have received your order.'], $this->status($order));
  }

  /**
   * JSON:API shows it, and follows payments and settings though it is cached.
   */
  public function testJsonApiShowsIt(): void {
    Role::load('waybill')->grantPermission('view commerce_order')->save();
    $order = $this->place();
    $read = function () use ($order): ?string {
      // Another request has nothing in memory, but what is cached.
      $this->container->get('entity.memory_cache')->deleteAll();
      $target = '/jsonapi/commerce_order/default/' . $order->uuid();
      $answer = $this->send('GET', $target, NULL, ['Accept' => 'application/vnd.api+json'])[1];
      return $answer['data']['attributes']['waybill_customer_status'];
    };
    self::assertSame('We have received your order.', $read());
    $payment = $this->pay($order, '21.00', 'new');
    self::assertSame('We are waiting for your payment to be confirmed.', $read());
    $payment->setState('completed')->save();
    $this->endRequest();
    self::assertSame('Payment received, we are preparing your order.', $read());
    $this->config('commerce_waybill_orders.settings')->set('messages.paid_preparing', 'Thank you!')->save();
    self::assertSame('Thank you!', $read());
    $this->config('commerce_waybill_orders.settings')->set('messages.paid_preparing', '')->save();
    self::assertNull($read());
  }

  /**
   * The customer's page shows it, and nothing of the back office.
   */
  public function testTheCustomersPageShowsIt(): void {
    $order = $this->place();
    $this->post($order, 'hold', ['hold' => TRUE, 'reason' => 'looks_like_fraud']);
    $this->post($order, 'references', ['erp_number' => 'SO-17']);
    $this->container->get('current_user')->setAccount($this->createUser(['view own commerce_order']));
    $build = $this->container->get('entity_type.manager')->getViewBuilder('commerce_order')->view($this->stored($order), 'user');
    $html = (string) $this->container->get('renderer')->renderRoot($build);
    self::assertSame([1, 0, 0], [
      substr_count($html, 'We are looking through your order before we prepare it.'),
      substr_count($html, 'looks_like_fraud'),
      substr_count($html, 'SO-17'),
    ]);
    $data = $this->container->get('views.views_data')->get('commerce_order');
    self::assertSame('waybill_customer_status', $data['waybill_customer_status']['field']['field_name']);
  }

  /**
   * The form keeps what was said.
   */
  public function testTheFormKeepsTheTexts(): void {
    $state = (new FormState())->setValues([
      'hold_on_dispute' => NULL,
      'keep_calls' => '30',
      'messages' => ['received' => ' Thank you! '],
    ]);
    $this->container->get('form_builder')->submitForm(SettingsForm::class, $state);
    self::assertSame([], $state->getErrors());
    $settings = $this->config('commerce_waybill_orders.settings');
    self::assertSame([FALSE, 30, 'Thank you!', 'Your order is complete.'], [
      $settings->get('hold_on_dispute'),
      $settings->get('keep_calls'),
      $settings->get('messages.received'),
      $settings->get('messages.completed'),
    ]);
  }

  /**
   * Gives the situation of an order and the text of the field.
   */
  private function status(OrderInterface $order): array {
    $order = $this->stored($order);
    return [
      $this->container->get(CustomerStatus::class)->situation($order),
      (string) $order->get('waybill_customer_status')->value,
    ];
  }

}
