<?php

declare(strict_types=1);

namespace Drupal\Tests\commerce_waybill_orders\Kernel;

use Drupal\user\Entity\Role;

/**
 * The module grants what it needs, and leaves no trace.
 *
 * @group commerce_waybill
 */
class UninstallTest extends OrdersKernelTestBase {

  /**
   * {@inheritdoc}
   */
  protected static $modules = ['field', 'filter', 'text', 'commerce_log'];

  /**
   * Table, fields, entries, configuration and permissions are gone.
   */
  public function testUninstallLeavesNoTrace(): void {
    $this->installSchema('user', ['users_data']);
    $this->installEntitySchema('commerce_log');
    $order = $this->place();
    $this->post($order, 'payments', $this->news('captured'));
    $this->post($order, 'references', ['erp_number' => 'SO-17', 'links' => ['tryton:17']]);
    $this->container->get('module_installer')->uninstall(['commerce_waybill_orders']);
    $schema = \Drupal::database()->schema();
    self::assertFalse($schema->tableExists('commerce_waybill_call'));
    foreach (['erp_number', 'erp_status', 'shipments', 'hold', 'dispute', 'dispute_id', 'customer_status'] as $name) {
      self::assertFalse($schema->fieldExists('commerce_order', "waybill_$name"), $name);
    }
    self::assertFalse($schema->fieldExists('commerce_payment', 'waybill_at'));
    self::assertSame([], \Drupal::configFactory()->listAll('commerce_waybill_orders'));
    self::assertSame(['use commerce_waybill'], Role::load('waybill')->getPermissions());
    $storage = \Drupal::entityTypeManager()->getStorage('commerce_log');
    self::assertSame(
      [],
      array_filter($storage->loadMultiple(), static fn ($log) => str_starts_with($log->getTemplateId(), 'waybill_')),
    );
    $left = \Drupal::entityTypeManager()->getStorage('commerce_order')->load($order->id());
    self::assertSame(['fulfillment', ['tryton:17'], TRUE], [
      $left->getState()->getId(),
      array_column($left->get('waybill_links')->getValue(), 'value'),
      $left->isPaid(),
    ]);
    \Drupal::service('module_installer')->install(['commerce_waybill_orders']);
    self::assertSame(
      ['use commerce_waybill', 'use commerce_waybill orders', 'use commerce_waybill payments'],
      Role::load('waybill')->getPermissions(),
    );
    self::assertTrue(\Drupal::database()->schema()->fieldExists('commerce_order', 'waybill_erp_number'));
  }

}
