<?php

declare(strict_types=1);

namespace Drupal\Tests\commerce_waybill\Kernel;

use Drupal\commerce_price\Price;
use Drupal\commerce_product\Entity\ProductVariation;
use Drupal\user\Entity\Role;

/**
 * Upstream ids and the last sync are fields that can be searched by.
 *
 * @group commerce_waybill
 */
class LinksTest extends WaybillKernelTestBase {

  /**
   * Found by an upstream id through JSON:API, by the middleware only.
   */
  public function testTheThingIsFoundByItsUpstreamId(): void {
    $account = $this->createUser([], 'waybill');
    $account->addRole('waybill')->save();
    Role::load('waybill')->grantPermission('view commerce_order')->save();
    $wanted = $this->place();
    $wanted->set('waybill_links', ['tryton:17', 'other:4'])->set('waybill_synced', 1700000000)->set('waybill_run', 'call 9')->save();
    $this->place();
    $target = '/jsonapi/commerce_order/default?filter%5Bwaybill_links%5D=tryton%3A17';
    $this->container->get('router.builder')->rebuildIfNeeded();
    [$status, $body] = $this->send('GET', $target, NULL, ['Accept' => 'application/vnd.api+json']);
    self::assertSame(200, $status);
    self::assertSame([$wanted->uuid()], array_column($body['data'], 'id'));
    $attributes = $body['data'][0]['attributes'];
    self::assertSame(['tryton:17', 'other:4'], $attributes['waybill_links']);
    self::assertSame('2023-11-14T22:13:20+00:00', gmdate('c', strtotime($attributes['waybill_synced'])));
    self::assertSame('call 9', $attributes['waybill_run']);
  }

  /**
   * A customer does not see the ids of other systems.
   */
  public function testLinksAreNobodyElsesBusiness(): void {
    $order = $this->place();
    $customer = $this->createUser(['view own commerce_order']);
    $admin = $this->createUser(['administer commerce_waybill']);
    self::assertSame([FALSE, TRUE], [
      $order->get('waybill_links')->access('view', $customer),
      $order->get('waybill_links')->access('view', $admin),
    ]);
  }

  /**
   * Links are indexed where a catalog of a hundred thousand is searched.
   */
  public function testLinksAreIndexed(): void {
    $variation = ProductVariation::create([
      'type' => 'default',
      'sku' => 'A',
      'price' => new Price('1', 'USD'),
      'waybill_links' => ['pim:1'],
    ]);
    $variation->save();
    $found = $this->container->get('entity_type.manager')->getStorage('commerce_product_variation')->loadByProperties(['waybill_links' => 'pim:1']);
    self::assertSame([$variation->uuid()], array_map(static fn ($one) => $one->uuid(), array_values($found)));
    self::assertTrue($this->container->get('database')->schema()->indexExists('commerce_product_variation__waybill_links', 'waybill_links_value'));
  }

}
