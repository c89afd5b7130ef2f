<?php

/**
 * @file
 * The PHP side of benchmarks/drupal_feeds.py, run by `drush php:script`.
 *
 * Drupal's own ways to bring a catalog in: core's Migrate for new products, the
 * Feeds module for stock from a CSV file. The last line of the output is JSON.
 */

declare(strict_types=1);

use Drupal\commerce_product\Entity\ProductVariation;
use Drupal\feeds\Entity\Feed;
use Drupal\feeds\Entity\FeedType;
use Drupal\field\Entity\FieldConfig;
use Drupal\field\Entity\FieldStorageConfig;
use Drupal\migrate\MigrateExecutable;
use Drupal\migrate\MigrateMessage;

const WAYBILL_BENCH_STOCK = 'waybill_bench_stock';

/**
 * Installs what is measured, and a field for the stock.
 */
function waybill_bench_prepare(): array {
  $exists = \Drupal::service('extension.list.module')->exists('feeds');
  \Drupal::service('module_installer')->install($exists ? ['migrate', 'feeds'] : ['migrate']);
  $where = ['entity_type' => 'commerce_product_variation', 'field_name' => WAYBILL_BENCH_STOCK];
  FieldStorageConfig::loadByName(...array_values($where)) ?? FieldStorageConfig::create($where + ['type' => 'integer'])->save();
  FieldConfig::loadByName('commerce_product_variation', 'default', WAYBILL_BENCH_STOCK)
    ?? FieldConfig::create($where + ['bundle' => 'default', 'label' => 'Stock'])->save();
  waybill_bench_remove();
  $store = \Drupal::service('commerce_store.current_store')->getStore();
  return ['currency' => $store->getDefaultCurrencyCode(), 'feeds' => $exists];
}

/**
 * Migrates new products with one variation each; nothing is validated.
 */
function waybill_bench_migrate(int $count, string $prefix): array {
  $store = \Drupal::service('commerce_store.current_store')->getStore();
  $rows = [];
  for ($number = 0; $number < $count; $number++) {
    $sku = "$prefix$number";
    $rows[] = ['sku' => $sku, 'title' => "Product $sku", 'price' => (string) (1 + $number % 99), 'currency' => $store->getDefaultCurrencyCode()];
  }
  $source = ['plugin' => 'embedded_data', 'data_rows' => $rows, 'ids' => ['sku' => ['type' => 'string']]];
  $definitions = [
    "{$prefix}variations" => [
      'source' => $source,
      'process' => [
        'type' => ['plugin' => 'default_value', 'default_value' => 'default'],
        'sku' => 'sku',
        'title' => 'title',
        'price/number' => 'price',
        'price/currency_code' => 'currency',
        WAYBILL_BENCH_STOCK => ['plugin' => 'default_value', 'default_value' => 1],
        'status' => ['plugin' => 'default_value', 'default_value' => 1],
      ],
      'destination' => ['plugin' => 'entity:commerce_product_variation'],
    ],
    "{$prefix}products" => [
      'source' => $source,
      'process' => [
        'type' => ['plugin' => 'default_value', 'default_value' => 'default'],
        'title' => 'title',
        'stores' => ['plugin' => 'default_value', 'default_value' => [$store->id()]],
        'variations/target_id' => ['plugin' => 'migration_lookup', 'migration' => "{$prefix}variations", 'source' => 'sku', 'no_stub' => TRUE],
        'status' => ['plugin' => 'default_value', 'default_value' => 1],
      ],
      'destination' => ['plugin' => 'entity:commerce_product'],
    ],
  ];
  $manager = \Drupal::service('plugin.manager.migration');
  // Looking one migration's rows up from another needs both to be known.
  $known = $manager->getDefinitions();
  foreach ($definitions as $id => $definition) {
    $known[$id] = $definition + [
      'id' => $id,
      'class' => 'Drupal\migrate\Plugin\Migration',
      'provider' => 'migrate',
      'migration_tags' => [],
      'label' => $id,
    ];
  }
  (new \ReflectionProperty($manager, 'definitions'))->setValue($manager, $known);
  $started = hrtime(TRUE);
  foreach (array_keys($definitions) as $id) {
    $migration = $manager->createInstance($id);
    (new MigrateExecutable($migration, new MigrateMessage()))->import();
  }
  $seconds = (hrtime(TRUE) - $started) / 1e9;
  foreach (array_keys($definitions) as $id) {
    $manager->createInstance($id)->getIdMap()->destroy();
  }
  return ['items' => waybill_bench_check($prefix, $count), 'seconds' => $seconds];
}

/**
 * Lets Feeds write stock from a CSV file (sku, on_hand) to what is there.
 */
function waybill_bench_feeds(string $file, int $count): array {
  $type = FeedType::create([
    'id' => 'waybill_bench',
    'label' => 'Benchmark',
    'import_period' => -1,
    'fetcher' => 'upload',
    'fetcher_configuration' => ['allowed_extensions' => 'csv', 'directory' => 'public://feeds'],
    'parser' => 'csv',
    'parser_configuration' => ['delimiter' => ',', 'no_headers' => FALSE, 'line_limit' => 100],
    'processor' => 'entity:commerce_product_variation',
    'processor_configuration' => [
      'values' => ['type' => 'default'],
      'update_existing' => 2,
      'insert_new' => 0,
      'update_non_existent' => '_keep',
      'skip_hash_check' => FALSE,
      'authorize' => FALSE,
      'expire' => -1,
      'owner_id' => 1,
    ],
    'custom_sources' => [
      'sku' => ['label' => 'sku', 'value' => 'sku', 'machine_name' => 'sku', 'type' => 'csv'],
      'on_hand' => ['label' => 'on_hand', 'value' => 'on_hand', 'machine_name' => 'on_hand', 'type' => 'csv'],
    ],
    'mappings' => [
      ['target' => 'sku', 'map' => ['value' => 'sku'], 'unique' => ['value' => TRUE], 'settings' => []],
      ['target' => WAYBILL_BENCH_STOCK, 'map' => ['value' => 'on_hand'], 'unique' => [], 'settings' => []],
    ],
  ]);
  $type->save();
  $uri = \Drupal::service('file_system')->copy($file, 'public://waybill-bench.csv');
  $upload = \Drupal::entityTypeManager()->getStorage('file')->create(['uri' => $uri, 'status' => 1]);
  $upload->save();
  $feed = Feed::create(['type' => 'waybill_bench', 'title' => 'Benchmark', 'source' => $uri, 'config' => ['fetcher' => ['fid' => $upload->id()]]]);
  $feed->save();
  $started = hrtime(TRUE);
  $feed->import();
  $seconds = (hrtime(TRUE) - $started) / 1e9;
  $feed->delete();
  $upload->delete();
  $type->delete();
  $rows = array_map('str_getcsv', array_slice(file($file, FILE_IGNORE_NEW_LINES), 1));
  $wanted = array_column($rows, 1, 0);
  $right = 0;
  foreach (array_chunk(array_keys($wanted), 200) as $skus) {
    $ids = \Drupal::entityQuery('commerce_product_variation')->accessCheck(FALSE)->condition('sku', $skus, 'IN')->execute();
    foreach (ProductVariation::loadMultiple($ids) as $one) {
      $right += (int) ((string) $one->get(WAYBILL_BENCH_STOCK)->value === (string) $wanted[$one->getSku()]);
    }
  }
  if ($right !== $count) {
    throw new \RuntimeException("Feeds wrote $right of $count.");
  }
  return ['items' => $count, 'seconds' => $seconds];
}

/**
 * Counts products of a prefix; raises when they are not as many as wanted.
 */
function waybill_bench_check(string $prefix, int $count): int {
  $found = (int) \Drupal::entityQuery('commerce_product_variation')->accessCheck(FALSE)
    ->condition('sku', $prefix, 'STARTS_WITH')->exists('product_id')->count()->execute();
  if ($found !== $count) {
    throw new \RuntimeException("There are $found of $count.");
  }
  return $found;
}

/**
 * Removes the test products.
 */
function waybill_bench_remove(): array {
  FeedType::load('waybill_bench')?->delete();
  $query = \Drupal::entityQuery('commerce_product_variation')->accessCheck(FALSE)->condition('sku', 'WAYBILLBENCH', 'STARTS_WITH');
  $removed = 0;
  foreach (array_chunk($query->execute(), 200) as $ids) {
    $products = array_map(static fn ($one) => $one->getProductId(), ProductVariation::loadMultiple($ids));
    $storage = \Drupal::entityTypeManager()->getStorage('commerce_product');
    $storage->delete($storage->loadMultiple(array_filter($products)));
    $removed += count($ids);
  }
  return ['removed' => $removed];
}

[$task, $first, $second] = $extra + ['', '', ''];
$answer = match ($task) {
  'prepare' => waybill_bench_prepare(),
  'migrate' => waybill_bench_migrate((int) $first, $second),
  'feeds' => waybill_bench_feeds($first, (int) $second),
  'check' => ['items' => waybill_bench_check($second, (int) $first)],
  'remove' => waybill_bench_remove(),
};
print json_encode($answer) . "\n";
