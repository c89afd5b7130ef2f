<?php

declare(strict_types=1);

namespace Drupal\Tests\commerce_waybill_checkout\Kernel;

use Drupal\commerce_checkout\Entity\CheckoutFlow;
use Drupal\commerce_order\Entity\OrderInterface;
use Drupal\Core\Entity\EntityStorageException;
use Drupal\Core\Form\FormState;
use Drupal\Core\Lock\DatabaseLockBackend;

/**
 * Two customers cannot buy the last piece.
 *
 * @group commerce_waybill
 */
class ReservationTest extends CheckoutKernelTestBase {

  /**
   * What somebody else is paying for cannot be sold; one's own can.
   */
  public function testTheReservationOfAnotherCounts(): void {
    $variation = $this->variation(5);
    $first = $this->cartOf(2, $variation);
    $second = $this->cartOf(1, $variation);
    self::assertSame([], $this->reserve($first));
    $left = [$this->left($variation, $first), $this->left($variation, $second), $this->left($variation)];
    self::assertSame([5.0, 3.0, 3.0], $left);
  }

  /**
   * Who does not pay in time gives the goods back, and cron forgets it.
   */
  public function testTheReservationRunsOut(): void {
    $variation = $this->variation(5);
    $this->declare(['reserve_minutes' => 10]);
    $this->reserve($this->cartOf(2, $variation));
    $this->pass(599);
    commerce_waybill_checkout_cron();
    self::assertSame(3.0, $this->left($variation));
    $this->pass(1);
    self::assertSame(5.0, $this->left($variation));
    self::assertCount(1, $this->reserved());
    commerce_waybill_checkout_cron();
    self::assertSame([], $this->reserved());
  }

  /**
   * Two carts want the last piece: one gets it, and keeps it.
   */
  public function testTheLastPieceIsReservedOnce(): void {
    $variation = $this->variation(1);
    $first = $this->cartOf(1, $variation);
    $second = $this->cartOf(1, $variation);
    self::assertSame([[], ['Shirt']], [$this->reserve($first), $this->reserve($second)]);
    self::assertSame([[(int) $first->id(), (int) $variation->id(), 1.0]], $this->reserved());
    $this->place($first);
    self::assertSame(['Shirt'], $this->reserve($second));
    self::assertSame([[], 0.0], [$this->reserved(), $this->left($variation)]);
  }

  /**
   * The other one was faster after this one had looked.
   */
  public function testWhatIsReservedMeanwhileCounts(): void {
    $variation = $this->variation(1);
    $first = $this->cartOf(1, $variation);
    $second = $this->cartOf(1, $variation);
    $this->lock->meanwhile = fn () => $this->reserve($first);
    self::assertSame(['Shirt'], $this->reserve($second));
    self::assertSame([[(int) $first->id(), (int) $variation->id(), 1.0]], $this->reserved());
  }

  /**
   * The ERP said less after this request had loaded the variation.
   */
  public function testTheStockIsThatOfNow(): void {
    $variation = $this->variation(1);
    $cart = $this->cartOf(1, $variation);
    $this->lock->meanwhile = fn () => $this->reloadEntity($variation)->set('field_stock', 0)->save();
    self::assertSame(['Shirt'], $this->reserve($cart));
  }

  /**
   * One thing is missing: nothing is reserved.
   */
  public function testEverythingIsReservedOrNothing(): void {
    $shirt = $this->variation(5);
    $hat = $this->variation(5, 'HAT');
    $both = $this->cartOf(2, $shirt, $hat);
    $hat->set('field_stock', 1)->save();
    self::assertSame([['Hat'], []], [$this->reserve($both), $this->reserved()]);
    $hat->set('field_stock', 2)->save();
    self::assertSame([], $this->reserve($both));
    self::assertSame([
      [(int) $both->id(), (int) $shirt->id(), 2.0],
      [(int) $both->id(), (int) $hat->id(), 2.0],
    ], $this->reserved());
  }

  /**
   * Two lines of one thing are one wish, and changing it replaces it.
   */
  public function testTheNewWishReplacesTheOldOne(): void {
    $variation = $this->variation(3);
    $cart = $this->cartOf(2, $variation, $variation);
    self::assertSame(['Shirt'], $this->reserve($cart));
    $items = $cart->getItems();
    $cart->removeItem($items[1])->save();
    self::assertSame([], $this->reserve($cart));
    $items[0]->setQuantity('1')->save();
    self::assertSame([], $this->reserve($this->reloadEntity($cart)));
    self::assertSame([[(int) $cart->id(), (int) $variation->id(), 1.0]], $this->reserved());
  }

  /**
   * Where the policy sets no limit, nothing is reserved.
   */
  public function testWithoutLimitNothingIsReserved(): void {
    $cart = $this->cartOf(7, $this->variation(NULL), $this->variation(5, 'HAT'));
    $this->declare(['oversell' => 'allow']);
    self::assertSame([[], []], [$this->reserve($cart), $this->reserved()]);
  }

  /**
   * Placing turns the reservation into a sale: both, or neither.
   */
  public function testPlacingTurnsTheReservationIntoTheSale(): void {
    $variation = $this->variation(5);
    $cart = $this->cartOf(2, $variation);
    $this->reserve($cart);
    $reserved = [[(int) $cart->id(), (int) $variation->id(), 2.0]];
    // The receipt builds the router: its table would end the transaction.
    $this->container->get('router.builder')->rebuild();
    $fail = static fn () => throw new \LogicException('Something went wrong.');
    $dispatcher = $this->container->get('event_dispatcher');
    $dispatcher->addListener('commerce_order.place.post_transition', $fail, -1000);
    try {
      $this->place($this->reloadEntity($cart));
      self::fail('The order was placed.');
    }
    catch (EntityStorageException $exception) {
      self::assertSame('Something went wrong.', $exception->getMessage());
    }
    self::assertSame([$reserved, 3.0], [$this->reserved(), $this->left($variation)]);
    $dispatcher->removeListener('commerce_order.place.post_transition', $fail);
    $this->place($this->reloadEntity($cart));
    self::assertSame([[], 3.0], [$this->reserved(), $this->left($variation)]);
  }

  /**
   * A cart that is cancelled or deleted gives its goods back at once.
   */
  public function testTheCartThatEndsGivesBack(): void {
    $variation = $this->variation(5);
    $cancelled = $this->cartOf(2, $variation);
    $deleted = $this->cartOf(2, $variation);
    $this->reserve($cancelled);
    $this->reserve($deleted);
    $cancelled->getState()->applyTransitionById('cancel');
    $cancelled->save();
    self::assertSame([[(int) $deleted->id(), (int) $variation->id(), 2.0]], $this->reserved());
    $deleted->delete();
    self::assertSame([], $this->reserved());
  }

  /**
   * The pane is on the step before the payment, and names what is missing.
   */
  public function testThePaneNamesWhatIsMissing(): void {
    $shirt = $this->variation(2);
    $hat = $this->variation(2, 'HAT');
    $both = $this->cartOf(2, $shirt, $hat);
    $shirt->set('field_stock', 1)->save();
    $hat->set('field_stock', 0)->save();
    self::assertSame(
      ['waybill_stock' => 'There is not enough left of <em class="placeholder">Shirt, Hat</em>. Please change your cart.'],
      $this->goOn($both),
    );
    self::assertSame([], $this->reserved());
  }

  /**
   * The pane lets through, and the goods are reserved.
   */
  public function testThePaneLetsThrough(): void {
    $variation = $this->variation(2);
    $cart = $this->cartOf(2, $variation);
    self::assertSame([], $this->goOn($cart));
    self::assertSame([[(int) $cart->id(), (int) $variation->id(), 2.0]], $this->reserved());
  }

  /**
   * Nobody is told that something is sold out when nobody knows.
   */
  public function testThePaneAsksForPatience(): void {
    $shirt = $this->variation(2);
    $hat = $this->variation(2, 'HAT');
    $cart = $this->cartOf(2, $shirt, $hat);
    $elsewhere = new DatabaseLockBackend($this->container->get('database'));
    $elsewhere->acquire('commerce_waybill_stock:' . $hat->id());
    self::assertSame(['waybill_stock' => 'Many customers want the same just now. Please try again.'], $this->goOn($cart));
    self::assertTrue($this->lock->lockMayBeAvailable('commerce_waybill_stock:' . $shirt->id()));
    $elsewhere->releaseAll();
    self::assertSame([], $this->goOn($cart));
  }

  /**
   * Goes on from the review: the errors that keep a customer there.
   */
  private function goOn(OrderInterface $order): array {
    $flow = CheckoutFlow::create(['id' => 'shop', 'label' => 'Shop', 'plugin' => 'multistep_default'])->getPlugin();
    $pane = $flow->getPane('waybill_stock')->setOrder($order);
    self::assertSame('review', $pane->getStepId());
    $form_state = new FormState();
    $complete_form = [];
    $form = $pane->buildPaneForm(['#parents' => ['waybill_stock']], $form_state, $complete_form);
    $pane->validatePaneForm($form, $form_state, $complete_form);
    return array_map('strval', $form_state->getErrors());
  }

}
