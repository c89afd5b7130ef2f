<?php

declare(strict_types=1);

namespace Drupal\Tests\commerce_waybill\Kernel;

use Drupal\user\Entity\Role;

/**
 * Uninstalling leaves no trace.
 *
 * @group commerce_waybill
 */
class UninstallTest extends WaybillKernelTestBase {

  /**
   * {@inheritdoc}
   */
  protected static $modules = ['field', 'filter', 'text'];

  /**
   * Tables, fields, configuration and the role are gone; orders stay.
   */
  public function testUninstallLeavesNoTrace(): void {
    $this->installSchema('user', ['users_data']);
    $this->installEntitySchema('commerce_product_attribute_value');
    $order = $this->place();
    $order->set('waybill_links', ['tryton:17'])->set('waybill_run', 'call 1')->save();
    $this->container->get('module_installer')->uninstall(['commerce_waybill']);
    $database = \Drupal::database();
    $tables = ['commerce_waybill_outbox', 'commerce_waybill_number', 'commerce_waybill_nonce'];
    foreach ([...$tables, 'commerce_order__waybill_links'] as $table) {
      self::assertFalse($database->schema()->tableExists($table), $table);
    }
    self::assertFalse($database->schema()->fieldExists('commerce_order', 'waybill_run'));
    self::assertSame([], \Drupal::configFactory()->listAll('commerce_waybill'));
    self::assertNull(Role::load('waybill'));
    $left = \Drupal::entityTypeManager()->getStorage('commerce_order')->load($order->id());
    self::assertSame('completed', $left->getState()->getId());
    self::assertFalse($left->hasField('waybill_links'));
  }

}
