<?php

/**
 * @file
 * The catalog's side of a real site: drush php:script catalog.php -- COMMAND JSON.
 *
 * "prepare" makes what the demo's tables speak of (a vocabulary, attributes,
 * a media type, fields, a language, a role), as far as it is not there; the
 * rest shows and changes the catalog. Prints one line of JSON.
 */

declare(strict_types=1);

use Drupal\commerce_price\Calculator;
use Drupal\commerce_product\Entity\ProductAttribute;
use Drupal\commerce_product\Entity\ProductVariation;
use Drupal\Core\Entity\ContentEntityInterface;
use Drupal\field\Entity\FieldConfig;
use Drupal\field\Entity\FieldStorageConfig;
use Drupal\language\Entity\ConfigurableLanguage;
use Drupal\media\Entity\MediaType;
use Drupal\taxonomy\Entity\Vocabulary;
use Drupal\user\Entity\Role;

[$command, $given] = [$extra[0], json_decode($extra[1] ?? '{}', TRUE)];
$manager = \Drupal::entityTypeManager();
const PRODUCTS = ['commerce_product', 'default'];
const VARIATIONS = ['commerce_product_variation', 'default'];

$add_field = static function (array $where, string $name, string $type, array $storage = [], array $settings = [], int $cardinality = 1): void {
  [$entity_type_id, $bundle] = $where;
  FieldStorageConfig::loadByName($entity_type_id, $name) ?? FieldStorageConfig::create([
    'entity_type' => $entity_type_id,
    'field_name' => $name,
    'type' => $type,
    'settings' => $storage,
    'cardinality' => $cardinality,
  ])->save();
  FieldConfig::loadByName($entity_type_id, $bundle, $name) ?? FieldConfig::create([
    'entity_type' => $entity_type_id,
    'bundle' => $bundle,
    'field_name' => $name,
    'label' => $name,
    'settings' => $settings,
  ])->save();
};

$all = static fn (string $entity_type_id): array => $manager->getStorage($entity_type_id)->loadMultiple();

// Everything that feeds made: all but the products of a prefix that is kept.
$empty = static function () use ($manager, $all): array {
  foreach ([
    'commerce_promotion',
    'commerce_pricelist_item',
    'commerce_pricelist',
    'commerce_product',
    'media',
    'file',
    'taxonomy_term',
    'commerce_product_attribute_value',
  ] as $entity_type_id) {
    if ($manager->hasDefinition($entity_type_id)) {
      $found = array_filter($all($entity_type_id), static fn ($one): bool => $entity_type_id !== 'commerce_product' || $one->id() != 1);
      $manager->getStorage($entity_type_id)->delete($found);
    }
  }
  return [];
};

// A module that is installed after the operations grants nothing by itself:
// so the operations are installed last.
$prepare = static function () use ($add_field, $empty): array {
  $installer = \Drupal::service('module_installer');
  $wanted = ['media', 'language', 'content_translation', 'commerce_promotion', 'commerce_pricelist', 'physical', 'commerce_stock_field'];
  $installer->install(array_filter($wanted, static fn (string $name): bool => \Drupal::service('extension.list.module')->exists($name)));
  Vocabulary::load('category') ?? Vocabulary::create(['vid' => 'category', 'name' => 'Category'])->save();
  foreach (['color', 'size'] as $id) {
    if (!ProductAttribute::load($id)) {
      ProductAttribute::create(['id' => $id, 'label' => ucfirst($id)])->save();
      \Drupal::service('commerce_product.attribute_field_manager')->createField(ProductAttribute::load($id), 'default');
      // A field that the demo's other products need not fill.
      FieldConfig::loadByName(...[...VARIATIONS, "attribute_$id"])->setRequired(FALSE)->save();
    }
  }
  if (!MediaType::load('image')) {
    $type = MediaType::create(['id' => 'image', 'label' => 'Image', 'source' => 'image']);
    $type->save();
    $source = $type->getSource()->createSourceField($type);
    $source->getFieldStorageDefinition()->save();
    $source->save();
    $type->set('source_configuration', ['source_field' => $source->getName()])->save();
  }
  $add_field(PRODUCTS, 'body', 'text_with_summary');
  $add_field(PRODUCTS, 'field_category', 'entity_reference', ['target_type' => 'taxonomy_term'], ['handler_settings' => ['target_bundles' => ['category' => 'category']]], -1);
  $add_field(PRODUCTS, 'field_images', 'entity_reference', ['target_type' => 'media'], ['handler_settings' => ['target_bundles' => ['image' => 'image']]], -1);
  $add_field(VARIATIONS, 'field_stock', 'integer');
  $add_field(VARIATIONS, 'field_weight', 'physical_measurement', ['measurement_type' => 'weight']);
  if (\Drupal::moduleHandler()->moduleExists('commerce_stock_field')) {
    $add_field(VARIATIONS, 'field_level', 'commerce_stock_level');
    \Drupal::configFactory()->getEditable('commerce_stock.service_manager')
      ->set('default_service_id', 'local_stock')->set('stock_events_plugin_id', 'disabled_stock_events')->save();
  }
  ConfigurableLanguage::load('de') ?? ConfigurableLanguage::createFromLangcode('de')->save();
  \Drupal::configFactory()->getEditable('language.negotiation')->set('url.prefixes', ['en' => '', 'de' => 'de'])->save();
  foreach ([PRODUCTS, VARIATIONS, ['taxonomy_term', 'category'], ['commerce_product_attribute_value', 'color'], ['commerce_product_attribute_value', 'size']] as [$entity_type_id, $bundle]) {
    \Drupal::service('content_translation.manager')->setEnabled($entity_type_id, $bundle, TRUE);
  }
  Role::load('wholesale') ?? Role::create(['id' => 'wholesale', 'label' => 'Wholesale'])->save();
  $installer->uninstall(['commerce_waybill_operations']);
  $installer->install(['commerce_waybill_operations']);
  \Drupal::configFactory()->getEditable('jsonapi.settings')->set('read_only', FALSE)->save();
  $empty();
  drupal_flush_all_caches();
  return ['stock' => \Drupal::moduleHandler()->moduleExists('commerce_stock_field')];
};

$labels = static fn (ContentEntityInterface $entity, string $field): array => array_map(
  static fn ($one): string => (string) $one->label(),
  $entity->get($field)->referencedEntities(),
);

$state = static function () use ($all, $labels): array {
  $variations = $products = $terms = $lists = $entries = $promotions = [];
  foreach ($all('commerce_product_variation') as $one) {
    $weight = $one->get('field_weight')->first()?->getValue();
    $variations[$one->getSku()] = [
      'price' => $one->getPrice() ? Calculator::trim($one->getPrice()->getNumber()) : NULL,
      'stock' => $one->get('field_stock')->value === NULL ? NULL : (int) $one->get('field_stock')->value,
      'weight' => $weight ? Calculator::trim($weight['number']) . ' ' . $weight['unit'] : NULL,
      'published' => $one->isPublished(),
      'values' => [...$labels($one, 'attribute_color'), ...$labels($one, 'attribute_size')],
      'product' => $one->getProduct()?->getTitle(),
    ];
  }
  foreach ($all('commerce_product') as $one) {
    $images = $one->get('field_images')->referencedEntities();
    $products[$one->getTitle()] = [
      'body' => $one->get('body')->value,
      'published' => $one->isPublished(),
      'skus' => array_map(static fn ($variation): string => $variation->getSku(), $one->getVariations()),
      'categories' => $labels($one, 'field_category'),
      'images' => array_map(static fn ($media): int => (int) $media->get('field_media_image')->entity->getSize(), $images),
      'alt' => array_map(static fn ($media): string => (string) $media->get('field_media_image')->alt, $images),
      'de' => $one->hasTranslation('de') ? $one->getTranslation('de')->getTitle() : NULL,
    ];
  }
  foreach ($all('taxonomy_term') as $one) {
    $terms[$one->label()] = [$labels($one, 'parent'), $one->hasTranslation('de') ? $one->getTranslation('de')->label() : NULL];
  }
  foreach ($all('commerce_pricelist') as $one) {
    $roles = array_column($one->get('customer_roles')->getValue(), 'target_id');
    $lists[$one->label()] = [$roles, $one->get('start_date')->value, $one->get('end_date')->value, count($one->getStores())];
  }
  foreach ($all('commerce_pricelist_item') as $one) {
    $sku = $one->getPurchasableEntity()->getSku();
    $entries[] = [$one->getPriceList()->label(), $sku, Calculator::trim($one->getQuantity()), Calculator::trim($one->getPrice()->getNumber())];
  }
  sort($entries);
  foreach ($all('commerce_promotion') as $one) {
    $promotions[$one->label()] = [
      'offer' => $one->get('offer')->first()->getValue(),
      'conditions' => array_map(static fn ($condition): array => [$condition->getPluginId(), $condition->getConfiguration()], $one->getConditions()),
      'order_types' => array_column($one->get('order_types')->getValue(), 'target_id'),
      'window' => [$one->get('start_date')->value, $one->get('end_date')->value],
      'enabled' => $one->isEnabled(),
    ];
  }
  return compact('variations', 'products', 'terms', 'lists', 'entries', 'promotions') + ['files' => count($all('file'))];
};

// What a customer with some roles pays, at some moment of the store's clock.
$price = static function () use ($given): array {
  $variation = \Drupal::entityTypeManager()->getStorage('commerce_product_variation')->loadBySku($given['sku']);
  $store = \Drupal::service('commerce_store.current_store')->getStore();
  $at = (new \DateTimeImmutable($given['at'], new \DateTimeZone($store->getTimezone())))->getTimestamp();
  $customer = \Drupal\user\Entity\User::create(['name' => 'customer', 'roles' => $given['roles']]);
  $context = new \Drupal\commerce\Context($customer, $store, $at);
  $found = \Drupal::service('commerce_price.chain_price_resolver')->resolve($variation, $given['quantity'], $context);
  return [Calculator::trim($found->getNumber()), $found->getCurrencyCode()];
};

// Somebody changes something in the site.
$change = static function () use ($given): array {
  $variation = \Drupal::entityTypeManager()->getStorage('commerce_product_variation')->loadBySku($given['sku']);
  foreach ($given['fields'] as $field => $value) {
    $variation->set($field, $value);
  }
  $variation->save();
  return [];
};

$level = static function () use ($given): array {
  $variation = \Drupal::entityTypeManager()->getStorage('commerce_product_variation')->loadBySku($given['sku']);
  $moves = \Drupal::database()->query('SELECT qty FROM {commerce_stock_transaction} WHERE entity_id = :id ORDER BY id', [':id' => $variation->id()])->fetchCol();
  return ['level' => (float) \Drupal::service('commerce_stock.service_manager')->getStockLevel($variation), 'moves' => array_map('floatval', $moves)];
};

echo json_encode(compact('prepare', 'empty', 'state', 'price', 'change', 'level')[$command](), JSON_THROW_ON_ERROR), "\n";
