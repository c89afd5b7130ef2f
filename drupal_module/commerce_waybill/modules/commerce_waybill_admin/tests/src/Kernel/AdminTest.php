<?php

declare(strict_types=1);

namespace Drupal\Tests\commerce_waybill_admin\Kernel;

use Drupal\commerce_waybill\Outbox\Outbox;
use Drupal\commerce_waybill_admin\Controller\OutboxController;
use Drupal\commerce_waybill_admin\Form\RetryForm;
use Drupal\Core\Form\FormState;
use Drupal\Core\Session\AccountInterface;
use Drupal\Core\Url;
use Drupal\Tests\commerce_waybill\Kernel\WaybillKernelTestBase;

/**
 * What a person sees of the outbox, and what they may do about it.
 *
 * @group commerce_waybill
 */
class AdminTest extends WaybillKernelTestBase {

  /**
   * {@inheritdoc}
   */
  protected static $modules = ['commerce_waybill_admin'];

  /**
   * Renders a page of the controller as somebody.
   */
  private function page(string $method, AccountInterface $account, mixed ...$arguments): string {
    $this->container->get('current_user')->setAccount($account);
    $page = OutboxController::create($this->container)->$method(...$arguments);
    $html = (string) $this->container->get('renderer')->renderInIsolation($page);
    return trim(preg_replace('/\s+/', ' ', strip_tags(str_replace('<', ' <', $html))));
  }

  /**
   * Gives up what waits.
   */
  private function giveUp(): int {
    $outbox = $this->container->get(Outbox::class);
    $entry = $outbox->claim($outbox->due(1)[0]);
    $outbox->end($entry, 'dead', 'The middleware answered HTTP 401.');
    return $entry->id;
  }

  /**
   * An order shows what left, why it failed, its ids and the way to it.
   */
  public function testTheOrderShowsWhatLeftAndWhatFailed(): void {
    $this->config('commerce_waybill.settings')->set('console', 'https://waybill.example/console')->save();
    $order = $this->cart(['order_number' => '1001']);
    $order = $this->place($order);
    $order->set('waybill_links', ['tryton:17'])->set('waybill_run', 'call 9')->set('waybill_synced', 1700000000)->save();
    $this->giveUp();
    $seller = $this->createUser(['view commerce_waybill outbox', 'retry commerce_waybill outbox']);
    $text = $this->page('order', $seller, $this->reloadEntity($order));
    $left = ['order.placed', 'The middleware answered HTTP 401.', 'Try again', 'order.updated', 'pending'];
    foreach ([...$left, 'Nothing came back yet.', 'tryton:17', 'call 9', 'This order in the middleware'] as $part) {
      self::assertStringContainsString($part, $text);
    }
    $reader = $this->createUser(['view commerce_waybill outbox']);
    self::assertStringNotContainsString('Try again', $this->page('order', $reader, $this->reloadEntity($order)));
  }

  /**
   * The outbox lists what was given up, what waits, what was delivered.
   */
  public function testTheOutboxShowsItsThreeKinds(): void {
    $this->place();
    $this->place();
    $this->giveUp();
    $text = $this->page('outbox', $this->createUser(['view commerce_waybill outbox']));
    self::assertStringContainsString('1 waiting, 1 given up. Last success: –.', $text);
    self::assertMatchesRegularExpression('/Given up .*HTTP 401.* Waiting .*order\.placed.* Delivered .*None\./', $text);
  }

  /**
   * The form has what was given up tried again, one or all.
   */
  public function testTheFormHasThemTriedAgain(): void {
    $this->place();
    $this->place();
    $id = $this->giveUp();
    $this->giveUp();
    $state = (new FormState())->addBuildInfo('args', [$id])->setValues(['op' => 'Confirm', 'confirm' => 1]);
    $this->container->get('form_builder')->submitForm(RetryForm::class, $state);
    self::assertSame(['pending', 'dead'], array_column($this->outbox(), 2));
    $state = (new FormState())->addBuildInfo('args', [0])->setValues(['op' => 'Confirm', 'confirm' => 1]);
    $this->container->get('form_builder')->submitForm(RetryForm::class, $state);
    self::assertSame(['pending', 'pending'], array_column($this->outbox(), 2));
  }

  /**
   * Each page asks for its own permission.
   */
  public function testEachPageAsksForItsPermission(): void {
    $order = $this->place();
    $access = static fn (AccountInterface $account): array => [
      Url::fromRoute('commerce_waybill_admin.outbox')->access($account),
      Url::fromRoute('commerce_waybill_admin.order', ['commerce_order' => $order->id()])->access($account),
      Url::fromRoute('commerce_waybill_admin.retry', ['id' => 0])->access($account),
    ];
    self::assertSame([FALSE, FALSE, FALSE], $access($this->createUser(['view commerce_order'])));
    self::assertSame([TRUE, FALSE, FALSE], $access($this->createUser(['view commerce_waybill outbox'])));
    $both = $this->createUser(['view commerce_waybill outbox', 'view commerce_order']);
    self::assertSame([TRUE, TRUE, FALSE], $access($both));
    self::assertSame([FALSE, FALSE, TRUE], $access($this->createUser(['retry commerce_waybill outbox'])));
  }

}
