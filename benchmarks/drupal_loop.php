<?php

/**
 * @file
 * The PHP side of benchmarks/drupal.py, run by `drush php:script`.
 *
 * Make, list and remove the test products, and the bare loop that the bulk
 * route is compared with. The last line of the output is JSON.
 */

declare(strict_types=1);

use Drupal\commerce_product\Entity\Product;
use Drupal\commerce_product\Entity\ProductVariation;

/**
 * Finds the test variations.
 */
function waybill_bench_ids(): array {
  return array_values(\Drupal::entityQuery('commerce_product_variation')
    ->accessCheck(FALSE)
    ->condition('sku', 'WAYBILL-BENCH-', 'STARTS_WITH')
    ->sort('variation_id')
    ->execute());
}

/**
 * Makes products with one variation each.
 */
function waybill_bench_make(int $count): array {
  waybill_bench_remove();
  $store = \Drupal::service('commerce_store.current_store')->getStore();
  $currency = $store->getDefaultCurrencyCode();
  $made = [];
  for ($number = 0; $number < $count; $number++) {
    $price = ['number' => '1', 'currency_code' => $currency];
    $sku = "WAYBILL-BENCH-$number";
    $variation = ProductVariation::create(['type' => 'default', 'sku' => $sku, 'title' => $sku, 'price' => $price]);
    Product::create([
      'type' => 'default',
      'title' => "Benchmark $number",
      'stores' => [$store],
      'variations' => [$variation],
    ])->save();
    $made[] = ['id' => $variation->uuid(), 'sku' => $sku];
  }
  return ['currency' => $currency, 'variations' => $made];
}

/**
 * Load, set, validate, save: what a good engineer writes without thinking.
 */
function waybill_bench_loop(int $first): array {
  $ids = waybill_bench_ids();
  $storage = \Drupal::entityTypeManager()->getStorage('commerce_product_variation');
  $started = hrtime(TRUE);
  foreach ($ids as $place => $id) {
    $variation = $storage->load($id);
    $currency = $variation->getPrice()->getCurrencyCode();
    $variation->set('price', ['number' => (string) ($first + $place), 'currency_code' => $currency]);
    // A site may require fields that test products do not have.
    foreach ($variation->validate()->getByField('price') as $violation) {
      throw new \RuntimeException($violation->getPropertyPath() . ': ' . $violation->getMessage());
    }
    $variation->save();
  }
  return ['items' => count($ids), 'seconds' => (hrtime(TRUE) - $started) / 1e9];
}

/**
 * Removes the test products.
 */
function waybill_bench_remove(): array {
  $storage = \Drupal::entityTypeManager()->getStorage('commerce_product');
  $products = array_column(array_map(
    static fn ($variation): array => $variation->get('product_id')->getValue()[0] ?? [],
    ProductVariation::loadMultiple(waybill_bench_ids()),
  ), 'target_id');
  $storage->delete($storage->loadMultiple($products));
  return ['removed' => count($products)];
}

[$task, $account, $number] = $extra + ['', '', '0'];
// Access and validation depend on who asks: the same account as over HTTP.
$found = \Drupal::entityTypeManager()->getStorage('user')->loadByProperties(['name' => $account]);
\Drupal::service('account_switcher')->switchTo(reset($found));
$answer = match ($task) {
  'make' => waybill_bench_make((int) $number),
  'loop' => waybill_bench_loop((int) $number),
  'remove' => waybill_bench_remove(),
};
print json_encode($answer) . "\n";
