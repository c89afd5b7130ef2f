<?php

declare(strict_types=1);

namespace Drupal\Tests\commerce_waybill_checkout\Kernel;

use Drupal\commerce_order\Entity\OrderInterface;
use Drupal\Core\Lock\DatabaseLockBackend;

/**
 * New orders wait for a decision, and not for ever.
 *
 * @group commerce_waybill
 */
class HoldTest extends CheckoutKernelTestBase {

  /**
   * {@inheritdoc}
   */
  protected static $modules = ['commerce_waybill_orders'];

  /**
   * {@inheritdoc}
   */
  protected function setUp(): void {
    parent::setUp();
    $this->installConfig(['commerce_waybill_orders']);
    $this->config('commerce_order.commerce_order_type.default')->set('workflow', 'order_fulfillment')->save();
    $this->declare(['hold_new_orders' => TRUE, 'hold_minutes' => 60, 'when_undecided' => 'release']);
  }

  /**
   * A new order is held from the moment that it is placed.
   */
  public function testTheNewOrderIsHeld(): void {
    $order = $this->place();
    self::assertSame(['fulfillment', 'awaiting_decision'], [$order->getState()->getId(), $this->hold($order)]);
    self::assertFalse($order->getState()->isTransitionAllowed('fulfill'));
    self::assertSame([['order.placed', $order->getVersion(), 'pending']], $this->outbox());
  }

  /**
   * Without the declaration nothing is held.
   */
  public function testWithoutDeclarationNothingIsHeld(): void {
    $this->declare(['hold_new_orders' => FALSE]);
    $order = $this->place();
    self::assertSame(['', TRUE], [$this->hold($order), $order->getState()->isTransitionAllowed('fulfill')]);
  }

  /**
   * Who had a reason before keeps it.
   */
  public function testTheEarlierReasonStays(): void {
    self::assertSame('fraud_review', $this->hold($this->place($this->cart(['waybill_hold' => 'fraud_review']))));
  }

  /**
   * Cron releases what is overdue, and nothing else.
   */
  public function testCronReleasesOverdueOrders(): void {
    $overdue = $this->place();
    $this->pass(1);
    $due = $this->place();
    $this->pass(3600);
    commerce_waybill_checkout_cron();
    self::assertSame(['', 'awaiting_decision'], [$this->hold($overdue), $this->hold($due)]);
    self::assertTrue($this->stored($overdue)->getState()->isTransitionAllowed('fulfill'));
    self::assertSame(['order.placed', 'order.placed', 'order.updated'], array_column($this->outbox(), 0));
    self::assertTrue($this->isFree($overdue));
  }

  /**
   * Where it is declared so, orders wait for ever.
   */
  public function testCronKeepsWhereDeclared(): void {
    $this->declare(['when_undecided' => 'keep']);
    $order = $this->place();
    $this->pass(360000);
    commerce_waybill_checkout_cron();
    self::assertSame('awaiting_decision', $this->hold($order));
  }

  /**
   * A decision that comes while cron waits for the order is not undone.
   */
  public function testTheDecisionMeanwhileStands(): void {
    $order = $this->place();
    $this->pass(3601);
    $this->lock->meanwhile = function () use ($order): void {
      $this->container->get('database')->update('commerce_order')->fields(['waybill_hold' => 'fraud_review'])->execute();
      $this->container->get('entity_type.manager')->getStorage('commerce_order')->resetCache([$order->id()]);
    };
    commerce_waybill_checkout_cron();
    self::assertSame(['fraud_review', TRUE], [$this->hold($order), $this->isFree($order)]);
    self::assertSame(['order.placed'], array_column($this->outbox(), 0));
  }

  /**
   * An order that somebody else changes does not keep the others.
   */
  public function testTheBusyOrderIsTriedAgain(): void {
    $busy = $this->place();
    $other = $this->place();
    $this->pass(3601);
    $elsewhere = new DatabaseLockBackend($this->container->get('database'));
    $elsewhere->acquire('commerce_order_update:' . $busy->id());
    commerce_waybill_checkout_cron();
    self::assertSame(['awaiting_decision', ''], [$this->hold($busy), $this->hold($other)]);
    $elsewhere->releaseAll();
    commerce_waybill_checkout_cron();
    self::assertSame('', $this->hold($busy));
  }

  /**
   * Gives the order as it is stored.
   */
  private function stored(OrderInterface $order): OrderInterface {
    return $this->container->get('entity_type.manager')->getStorage('commerce_order')->loadUnchanged($order->id());
  }

  /**
   * Says why an order is held.
   */
  private function hold(OrderInterface $order): string {
    return (string) $this->stored($order)->get('waybill_hold')->value;
  }

  /**
   * Whether nobody has the lock of an order.
   */
  private function isFree(OrderInterface $order): bool {
    return $this->lock->lockMayBeAvailable('commerce_order_update:' . $order->id());
  }

}
