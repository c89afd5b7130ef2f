<?php

declare(strict_types=1);

namespace Drupal\Tests\commerce_waybill_orders\Kernel;

use Drupal\user\Entity\Role;

/**
 * What an order is called elsewhere.
 *
 * @group commerce_waybill
 */
class ReferencesTest extends OrdersKernelTestBase {

  /**
   * Set, and shown.
   */
  public function testReferencesAreSet(): void {
    $order = $this->place();
    $order->set('waybill_links', ['shop:4', 'tryton:1'])->save();
    $body = ['erp_number' => 'SO-17', 'erp_status' => 'processing', 'links' => ['tryton:17'], 'run' => 'run 9'];
    $references = ['erp_number' => 'SO-17', 'erp_status' => 'processing', 'links' => ['shop:4', 'tryton:17']];
    [$status, $answer] = $this->post($order, 'references', $body);
    self::assertSame([200, 'applied', $references], [$status, $answer['status'], $answer['references']]);
    self::assertTrue($this->isFree($order));
    $synced = (int) $this->stored($order)->get('waybill_synced')->value;
    $shown = $this->send('GET', '/waybill/v1/orders/' . $order->uuid())[1]['references'];
    self::assertSame(
      $references + ['synced' => gmdate('Y-m-d\TH:i:sP', $synced), 'run' => 'run 9'],
      $shown,
    );
  }

  /**
   * What is in place already is left alone, whichever run says it.
   */
  public function testEqualReferencesAreNotSaved(): void {
    $order = $this->place();
    $this->post($order, 'references', ['erp_number' => 'SO-17', 'links' => ['tryton:17'], 'run' => 'run 9']);
    $version = $this->stored($order)->getVersion();
    $answer = $this->post($order, 'references', ['links' => ['tryton:17'], 'run' => 'run 10'])[1];
    self::assertSame(
      ['unchanged', 'equal', 'SO-17'],
      [$answer['status'], $answer['reason'], $answer['references']['erp_number']],
    );
    self::assertSame(
      [$version, 'run 9'],
      [$this->stored($order)->getVersion(), $this->stored($order)->get('waybill_run')->value],
    );
    self::assertTrue($this->isFree($order));
  }

  /**
   * Fields that are wrong are pointed at.
   */
  public function testTheBodyIsChecked(): void {
    $order = $this->place();
    self::assertSame(
      [422, 'invalid', '/links/1', []],
      $this->refused($order, 'references', ['links' => ['tryton:17', 'seventeen']]),
    );
    self::assertSame([422, 'invalid', '/erp_number', []], $this->refused($order, 'references', ['erp_number' => 17]));
  }

  /**
   * An order is found by its number in the ERP, by those who may know it.
   */
  public function testAnOrderIsFoundByItsErpNumber(): void {
    Role::load('waybill')->grantPermission('view commerce_order')->save();
    $order = $this->place();
    $this->place();
    $this->post($order, 'references', ['erp_number' => 'SO-17', 'erp_status' => 'processing', 'links' => ['tryton:17']]);
    foreach (['waybill_erp_number' => 'SO-17', 'waybill_erp_status' => 'processing', 'waybill_links' => 'tryton%3A17'] as $field => $value) {
      [$status, $body] = $this->send('GET', "/jsonapi/commerce_order/default?filter%5B$field%5D=$value", NULL, ['Accept' => 'application/vnd.api+json']);
      self::assertSame([200, [$order->uuid()]], [$status, array_column($body['data'], 'id')], $field);
    }
    self::assertSame('SO-17', $body['data'][0]['attributes']['waybill_erp_number']);
    $customer = $this->createUser(['view own commerce_order']);
    $manager = $this->createUser(['administer commerce_order']);
    $access = static fn ($account): array => array_map(static fn (string $name): array => [
      $order->get($name)->access('view', $account),
      $order->get($name)->access('edit', $account),
    ], ['waybill_erp_number', 'waybill_hold', 'waybill_customer_status']);
    self::assertSame([[FALSE, FALSE], [FALSE, FALSE], [TRUE, FALSE]], $access($customer));
    self::assertSame([[TRUE, FALSE], [TRUE, FALSE], [TRUE, FALSE]], $access($manager));
  }

}
