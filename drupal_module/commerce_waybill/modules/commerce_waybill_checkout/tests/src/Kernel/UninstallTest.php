<?php

declare(strict_types=1);

namespace Drupal\Tests\commerce_waybill_checkout\Kernel;

use Drupal\commerce_checkout\Entity\CheckoutFlow;

/**
 * Uninstalling leaves no trace.
 *
 * @group commerce_waybill
 */
class UninstallTest extends CheckoutKernelTestBase {

  /**
   * {@inheritdoc}
   */
  protected static $modules = ['filter', 'text'];

  /**
   * Table, field, configuration, memory and pane are gone; orders stay.
   */
  public function testUninstallLeavesNoTrace(): void {
    $this->installSchema('user', ['users_data']);
    $variation = $this->variation(5);
    $cart = $this->cartOf(1, $variation);
    $this->reserve($cart);
    $order = $this->place();
    $flow = CheckoutFlow::create(['id' => 'shop', 'label' => 'Shop', 'plugin' => 'multistep_default']);
    $panes = ['review' => ['step' => 'review'], 'waybill_stock' => ['step' => 'review', 'weight' => 4]];
    $flow->getPlugin()->setConfiguration(['panes' => $panes]);
    $flow->set('configuration', $flow->getPlugin()->getConfiguration())->save();
    self::assertContains('commerce_waybill_checkout', $flow->getDependencies()['module']);
    $this->container->get('keyvalue.expirable')->get('commerce_waybill_checkout')->setWithExpire('rest', TRUE, 60);
    $this->container->get('module_installer')->uninstall(['commerce_waybill_checkout']);
    $schema = \Drupal::database()->schema();
    self::assertSame([FALSE, FALSE, TRUE], [
      $schema->tableExists('commerce_waybill_reservation'),
      $schema->fieldExists('commerce_product_variation_field_data', 'waybill_stock_at'),
      $schema->fieldExists('commerce_product_variation_field_data', 'waybill_synced'),
    ]);
    self::assertSame([], \Drupal::configFactory()->listAll('commerce_waybill_checkout'));
    self::assertSame([], \Drupal::keyValueExpirable('commerce_waybill_checkout')->getAll());
    self::assertSame(['review'], array_keys(CheckoutFlow::load('shop')->get('configuration')['panes']));
    $storage = \Drupal::entityTypeManager()->getStorage('commerce_order');
    self::assertSame(['completed', 'draft'], [
      $storage->load($order->id())->getState()->getId(),
      $storage->load($cart->id())->getState()->getId(),
    ]);
    \Drupal::service('module_installer')->install(['commerce_waybill_checkout']);
    self::assertTrue(\Drupal::database()->schema()->tableExists('commerce_waybill_reservation'));
  }

}
