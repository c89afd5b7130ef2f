<?php

declare(strict_types=1);

namespace Drupal\Tests\commerce_waybill_operations\Kernel;

use Drupal\commerce_waybill_operations\Batch\FamilyLocks;
use Drupal\Core\Lock\DatabaseLockBackend;

/**
 * Tests that batches at one time do not undo each other.
 *
 * That two processes lose no write is measured on a site by
 * benchmarks/drupal.py.
 *
 * @group commerce_waybill
 */
class OperationsConcurrencyTest extends OperationsTestBase {

  private const BUSY = 'Another batch works on this; send the operation again.';

  /**
   * Somebody else's locks.
   */
  private DatabaseLockBackend $other;

  /**
   * {@inheritdoc}
   */
  protected function setUp(): void {
    parent::setUp();
    $this->config('commerce_waybill_operations.settings')->set('lock_wait', 0)->save();
    $this->other = new DatabaseLockBackend($this->container->get('database'));
  }

  /**
   * What somebody else works on is refused, to be sent again; the rest is done.
   */
  public function testLockOfAnotherBatchIsRespected(): void {
    $product = $this->product(['A', 'B']);
    $this->product(['C']);
    $this->assertTrue($this->other->acquire('commerce_waybill_operations:commerce_product:' . $product->id()));
    $operations = [
      self::on('update', self::VARIATION, ['sku' => 'A'], ['field_stock' => 1]),
      self::on('update', self::VARIATION, ['sku' => 'C'], ['field_stock' => 1]),
      self::on('update', self::PRODUCT, ['id' => $product->uuid()], ['title' => 'Cup']),
      self::addVariation('D', self::under($product)),
    ];
    $busy = static fn (int $index): array => self::error(409, 'Conflict', self::BUSY, "/atomic:operations/$index", ['retryable' => TRUE]);
    $results = $this->results($operations);
    $this->assertSame('updated', $results[1]['meta']['status']);
    $this->assertSame([0 => $busy(0), 2 => $busy(2), 3 => $busy(3)], array_diff_key($results, [1 => 1]));
    [$status, $document] = $this->send($operations, ['mode' => 'all']);
    $this->assertSame([409, $busy(0)['errors']], [$status, $document['errors']]);

    $this->other->releaseAll();
    $this->assertSame(['updated', 'unchanged', 'updated', 'created'], $this->statuses($operations));
    $this->assertSame(['A', '19.99 USD', 1, ['pim:A'], 'run-1'], $this->stored('A'));
  }

  /**
   * What two batches would create under one link is locked by the link.
   */
  public function testNamesOfWhatIsNotThereAreLocked(): void {
    $product = $this->product(['A']);
    $add = self::addVariation('N', self::under($product), ['waybill_links' => ['pim:n']]);
    $this->other->acquire('commerce_waybill_operations:commerce_product_variation:link:pim:n');
    $this->assertSame(['409 /atomic:operations/0'], $this->statuses([$add]));
    $this->other->releaseAll();
    $this->assertSame(['created'], $this->statuses([$add]));
  }

  /**
   * No lock is left behind, whatever happened.
   */
  public function testLocksAreReleased(): void {
    $this->product(['A']);
    $good = self::on('update', self::VARIATION, ['sku' => 'A'], ['field_stock' => 1]);
    $bad = self::on('update', self::VARIATION, ['sku' => 'A'], ['field_stock' => 'many']);
    foreach (['each', 'all'] as $mode) {
      $this->send([$good, $bad, self::addVariation('ALONE')], ['mode' => $mode]);
      $held = $this->container->get('database')->query("SELECT [name] FROM {semaphore} WHERE [name] LIKE 'commerce_waybill%'")->fetchCol();
      $this->assertSame([], $held);
    }
  }

  /**
   * A value that another process wrote meanwhile is not overwritten.
   */
  public function testAnotherWriterIsNotUndone(): void {
    $product = $this->product(['A']);
    $storage = $this->container->get('entity_type.manager')->getStorage('commerce_product_variation');
    // Both caches hold the old stock when the other process writes the new one.
    $id = $this->variation('A')->id();
    $this->assertSame('5', $storage->load($id)->get('field_stock')->value);
    $this->container->get('database')->update('commerce_product_variation__field_stock')
      ->fields(['field_stock_value' => 42])->condition('entity_id', $id)->execute();
    $this->container->get('database')->update('commerce_product_field_data')
      ->fields(['title' => 'Cup'])->condition('product_id', $product->id())->execute();
    $this->assertSame('5', $storage->load($id)->get('field_stock')->value);

    $update = self::on('update', self::VARIATION, ['sku' => 'A'], self::price('7'));
    $this->assertSame(['updated'], $this->statuses([$update]));
    $this->assertSame(['A', '7 USD', 42, ['pim:A'], 'run-1'], $this->stored('A'));
    $this->assertSame('Cup', $this->variation('A')->getTitle());
  }

  /**
   * After a deadlock nothing of a settlement is left, and it can be repeated.
   */
  public function testDeadlockIsRetryable(): void {
    $this->product(['A']);
    $this->container->get('state')->set('commerce_waybill_operations_test.breaks', 'Deadlock');
    $operations = [
      self::addVariation('N', ['lid' => 'n']),
      $this->addProduct('Deadlock', [self::id(self::VARIATION, 'n', 'lid')]),
      self::on('update', self::VARIATION, ['sku' => 'A'], ['field_stock' => 1]),
    ];
    $busy = static fn (int $index): array => self::error(409, 'Conflict', self::BUSY, "/atomic:operations/$index", ['retryable' => TRUE]);
    $results = $this->results($operations);
    $this->assertSame([$busy(0), $busy(1), 'updated'], [$results[0], $results[1], $results[2]['meta']['status']]);
    [$status, $document] = $this->send($operations, ['mode' => 'all']);
    $this->assertSame([409, ['retryable' => TRUE]], [$status, $document['errors'][0]['meta']]);
    $this->assertSame(['products' => 1, 'variations' => 1, 'orphans' => 0], $this->counts());

    $this->container->get('state')->delete('commerce_waybill_operations_test.breaks');
    $this->assertSame(['created', 'created', 'unchanged'], $this->statuses($operations));
  }

  /**
   * Locks are taken in one order, and only what is free.
   */
  public function testLocksAreTakenInOrder(): void {
    $this->other->acquire('commerce_waybill_operations:b');
    $locks = $this->container->get(FamilyLocks::class);
    $this->assertSame(['b'], $locks->acquire(['c', 'b', 'a', 'c'], 0.0));
    $held = $this->container->get('database')->query('SELECT [name] FROM {semaphore} ORDER BY [name]')->fetchCol();
    $this->assertSame(['a', 'b', 'c'], array_map(static fn (string $name): string => substr($name, -1), $held));
    $this->assertFalse($this->other->acquire('commerce_waybill_operations:a'));
    $locks->release();
    $this->assertTrue($this->other->acquire('commerce_waybill_operations:a'));
  }

  /**
   * A lock that becomes free in time is waited for.
   */
  public function testLockIsWaitedFor(): void {
    $this->product(['A']);
    $this->config('commerce_waybill_operations.settings')->set('lock_wait', 5)->save();
    $name = 'commerce_waybill_operations:' . 'commerce_product:' . $this->variation('A')->getProductId();
    $this->other->acquire($name, 0.3);
    $this->assertSame(['updated'], $this->statuses([self::on('update', self::VARIATION, ['sku' => 'A'], ['field_stock' => 1])]));
  }

}
