<?php

declare(strict_types=1);

namespace Drupal\Tests\commerce_waybill_checkout\Kernel;

use Drupal\commerce\Context;
use Drupal\commerce_price\Price;
use Drupal\commerce_product\Entity\ProductVariationInterface;

/**
 * What may still be sold, by the declared policy.
 *
 * @group commerce_waybill
 */
class StockTest extends CheckoutKernelTestBase {

  /**
   * The stock, so many beyond it, or no limit.
   */
  public function testPolicySaysWhatMayBeSold(): void {
    $variation = $this->variation(3);
    $left = [];
    foreach (['deny', 'limit', 'allow'] as $policy) {
      $this->declare(['oversell' => $policy, 'oversell_limit' => 2]);
      $left[$policy] = $this->left($variation);
    }
    self::assertSame(['deny' => 3.0, 'limit' => 5.0, 'allow' => NULL], $left);
  }

  /**
   * What has no number has no limit.
   */
  public function testWithoutNumberThereIsNoLimit(): void {
    $without = $this->variation(NULL);
    $with = $this->variation(0, 'HAT');
    self::assertSame([NULL, 0.0], [$this->left($without), $this->left($with)]);
    $this->declare(['stock_field' => '']);
    self::assertNull($this->left($with));
    $this->declare(['stock_field' => 'field_absent']);
    self::assertNull($this->left($with));
  }

  /**
   * Old stock is used, refused, or does not matter.
   */
  public function testOldStockMeansWhatIsDeclared(): void {
    $variation = $this->variation(3);
    $this->declare(['stale_after' => 10]);
    $left = [];
    foreach ([600, 1] as $seconds) {
      $this->pass($seconds);
      foreach (['trust', 'deny', 'allow'] as $rule) {
        $this->declare(['when_stale' => $rule]);
        $left[] = $this->left($variation);
      }
    }
    self::assertSame([3.0, 3.0, 3.0, 3.0, 0.0, NULL], $left);
  }

  /**
   * The middleware says that the number is still right.
   */
  public function testTheAgeOfTheStockCanBeRenewed(): void {
    $variation = $this->variation(3);
    $this->declare(['stale_after' => 10, 'when_stale' => 'deny']);
    $this->pass(700);
    self::assertSame(0.0, $this->left($variation));
    $variation->set('waybill_stock_at', $this->now())->save();
    self::assertSame(3.0, $this->left($variation));
  }

  /**
   * What was sold since is no longer there, unless the order was cancelled.
   */
  public function testWhatWasSoldSinceCounts(): void {
    $this->config('commerce_order.commerce_order_type.default')->set('workflow', 'order_fulfillment')->save();
    $variation = $this->variation(10);
    $other = $this->variation(10, 'HAT');
    $this->pass(60);
    $this->place($this->cartOf(2, $variation));
    $order = $this->place($this->cartOf(3, $variation));
    self::assertSame([5.0, 10.0], [$this->left($variation), $this->left($other)]);
    $order->getState()->applyTransitionById('cancel');
    $order->save();
    self::assertSame(8.0, $this->left($variation));
  }

  /**
   * A cart takes nothing away.
   */
  public function testTheCartDoesNotCount(): void {
    $variation = $this->variation(10);
    $this->cartOf(4, $variation);
    self::assertSame(10.0, $this->left($variation));
  }

  /**
   * The next number knows of the sales before it.
   */
  public function testTheNewNumberForgetsEarlierSales(): void {
    $variation = $this->variation(10);
    $this->place($this->cartOf(2, $variation));
    $this->pass(60);
    $this->reloadEntity($variation)->set('field_stock', 8)->save();
    self::assertSame(8.0, $this->left($variation));
  }

  /**
   * A new price says nothing about the stock, though it is a sync.
   */
  public function testTheNewPriceDoesNotForgetSales(): void {
    $variation = $this->variation(10);
    $this->place($this->cartOf(2, $variation));
    $this->pass(60);
    $variation = $this->reloadEntity($variation);
    $variation->setPrice(new Price('12.00', 'USD'))->set('waybill_synced', $this->now())->save();
    self::assertSame(8.0, $this->left($variation));
  }

  /**
   * The ERP counted before it knew of an order.
   */
  public function testTheMiddlewareSaysWhenWasCounted(): void {
    $variation = $this->variation(10);
    $counted = $this->now() + 30;
    $this->pass(60);
    $this->place($this->cartOf(2, $variation));
    $this->pass(60);
    $this->reloadEntity($variation)->set('field_stock', 9)->set('waybill_stock_at', $counted)->save();
    self::assertSame(7.0, $this->left($variation));
  }

  /**
   * A number from before the module was there is as old as its sync.
   */
  public function testTheOlderNumberIsAsOldAsItsSync(): void {
    $variation = $this->variation(10);
    $this->place($this->cartOf(2, $variation));
    $this->pass(60);
    $this->reloadEntity($variation)->set('waybill_synced', $this->now())->save();
    $this->container->get('database')->update('commerce_product_variation_field_data')->fields(['waybill_stock_at' => NULL])->execute();
    self::assertSame(10.0, $this->left($variation));
  }

  /**
   * The availability that Commerce asks for, in words.
   */
  public function testAvailabilityIsSaidInWords(): void {
    $words = [];
    foreach ([0, 1, 2, 3] as $stock) {
      $words[$stock] = $this->availability($this->variation($stock, "SHIRT-$stock"), 3);
    }
    self::assertSame([
      0 => 'This is sold out.',
      1 => 'Only one is left.',
      2 => 'Only 2 are left.',
      3 => NULL,
    ], $words);
  }

  /**
   * Commerce removes what is sold out from carts, never from orders.
   */
  public function testWhatIsBoughtStaysInTheOrder(): void {
    $variation = $this->variation(2);
    $cart = $this->cartOf(2, $variation);
    $order = $this->refresh($this->place($this->cartOf(2, $variation)));
    self::assertCount(1, $order->getItems());
    self::assertCount(0, $this->refresh($cart)->getItems());
  }

  /**
   * The age of the stock is for the middleware.
   */
  public function testStrangersDoNotSeeTheAgeOfTheStock(): void {
    $field = $this->variation(2)->get('waybill_stock_at');
    $middleware = $this->createUser(['use commerce_waybill']);
    $customer = $this->createUser(['view commerce_product']);
    self::assertSame([TRUE, TRUE, FALSE, FALSE], [
      $field->access('view', $middleware),
      $field->access('edit', $middleware),
      $field->access('view', $customer),
      $field->access('edit', $customer),
    ]);
  }

  /**
   * Asks Commerce whether so many are available, and why not.
   */
  private function availability(ProductVariationInterface $variation, int $quantity): ?string {
    $item = $this->container->get('entity_type.manager')->getStorage('commerce_order_item')
      ->createFromPurchasableEntity($variation, ['quantity' => (string) $quantity]);
    $context = new Context($this->createUser(), $this->store);
    $reason = $this->container->get('commerce_order.availability_manager')->check($item, $context)->getReason();
    return $reason === NULL ? NULL : (string) $reason;
  }

  /**
   * Gives the time.
   */
  private function now(): int {
    return $this->container->get('datetime.time')->getCurrentTime();
  }

}
