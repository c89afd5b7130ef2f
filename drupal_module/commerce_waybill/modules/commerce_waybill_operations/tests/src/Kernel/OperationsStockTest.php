<?php

declare(strict_types=1);

namespace Drupal\Tests\commerce_waybill_operations\Kernel;

use Drupal\commerce_product\Entity\ProductVariationInterface;
use Drupal\commerce_stock_local\Entity\StockLocation;
use Drupal\commerce_waybill_operations\Entity\StockLevels;
use Drupal\field\Entity\FieldConfig;
use Drupal\field\Entity\FieldStorageConfig;

/**
 * Tests levels in Commerce Stock: what is sent is the level, not a movement.
 *
 * @group commerce_waybill
 */
class OperationsStockTest extends OperationsTestBase {

  private const MODULES = ['commerce_stock', 'commerce_stock_local', 'commerce_stock_field'];

  /**
   * {@inheritdoc}
   */
  protected function setUp(): void {
    parent::setUp();
    $list = $this->container->get('extension.list.module');
    if (array_filter(self::MODULES, static fn (string $name): bool => !$list->exists($name))) {
      $this->markTestSkipped('There is no Commerce Stock here.');
    }
    $this->enableModules(self::MODULES);
    $this->installEntitySchema('commerce_stock_location');
    $this->installConfig(['commerce_stock', 'commerce_stock_local']);
    $this->installSchema('commerce_stock_local', ['commerce_stock_transaction', 'commerce_stock_transaction_type', 'commerce_stock_location_level']);
    StockLocation::create(['type' => 'default', 'name' => 'Main', 'status' => 1])->save();
    $this->config('commerce_stock.service_manager')
      ->set('default_service_id', 'local_stock')
      ->set('stock_events_plugin_id', 'disabled_stock_events')
      ->save();
    // A second store: a variation is in one of them only by its product.
    $this->createStore('Other', 'other@example.invalid', 'online', FALSE);
    FieldStorageConfig::create([
      'entity_type' => 'commerce_product_variation',
      'field_name' => 'field_level',
      'type' => 'commerce_stock_level',
    ])->save();
    FieldConfig::create(['entity_type' => 'commerce_product_variation', 'bundle' => 'default', 'field_name' => 'field_level'])->save();
    $this->container->get('router.builder')->rebuild();
    $this->actAs([]);
  }

  /**
   * Gives the movements of a variation's stock.
   *
   * @return float[]
   *   Quantities, oldest first.
   */
  private function moves(ProductVariationInterface $variation): array {
    $query = 'SELECT qty FROM {commerce_stock_transaction} WHERE entity_id = :id ORDER BY id';
    return array_map('floatval', $this->container->get('database')->query($query, [':id' => $variation->id()])->fetchCol());
  }

  /**
   * Existing variations are brought to their level by one movement.
   */
  public function testLevelIsReachedByOneMovement(): void {
    $this->assertTrue($this->container->has(StockLevels::class));
    $this->product(['A']);
    $set = static fn (mixed $level): array => [self::on('update', self::VARIATION, ['sku' => 'A'], ['field_level' => $level])];
    $this->assertSame(['updated'], $this->statuses($set(7)));
    $this->assertSame(['unchanged'], $this->statuses($set('7.0')));
    $this->assertSame(['updated'], $this->statuses($set(4)));
    $this->assertSame(['unchanged'], $this->statuses($set(NULL)));
    $this->assertSame(['updated'], $this->statuses([self::on('update', self::VARIATION, ['sku' => 'A'], ['field_stock' => 9])]));
    $this->assertSame([7.0, -3.0], $this->moves($this->variation('A')));
    $this->assertSame('422', $this->results($set('many'))[0]['errors'][0]['status']);
  }

  /**
   * New variations get theirs when their product says in which store it is.
   */
  public function testNewVariationsHaveTheirLevel(): void {
    $product = ['product_id' => ['data' => self::id(self::PRODUCT, 'p', 'lid')]];
    $operations = [
      $this->addProduct('Mug', [], ['lid' => 'p']),
      self::addVariation('A', ['relationships' => $product], ['field_level' => 3]),
      self::addVariation('B', ['relationships' => $product]),
    ];
    $this->assertSame(['created', 'created', 'created'], $this->statuses($operations));
    $this->assertSame([[3.0], []], [$this->moves($this->variation('A')), $this->moves($this->variation('B'))]);
    $existing = ['product_id' => ['data' => self::id(self::PRODUCT, $this->variation('A')->getProduct()->uuid())]];
    $this->assertSame(['created'], $this->statuses([self::addVariation('C', ['relationships' => $existing], ['field_level' => 2])]));
    $this->assertSame([2.0], $this->moves($this->variation('C')));
  }

}
