<?php

declare(strict_types=1);

namespace Drupal\Tests\commerce_waybill_operations\Kernel;

use Drupal\commerce_product\Entity\Product;
use Drupal\commerce_product\Entity\ProductInterface;
use Drupal\commerce_product\Entity\ProductVariation;
use Drupal\commerce_product\Entity\ProductVariationInterface;
use Drupal\commerce_product\Event\ProductEvents;
use Drupal\Core\DependencyInjection\ContainerBuilder;
use Drupal\Core\Lock\DatabaseLockBackend;
use Drupal\field\Entity\FieldConfig;
use Drupal\field\Entity\FieldStorageConfig;
use Drupal\language\Entity\ConfigurableLanguage;
use Drupal\taxonomy\Entity\Vocabulary;
use Drupal\Tests\commerce\Kernel\CommerceKernelTestBase;
use Drupal\user\Entity\Role;
use Symfony\Component\HttpFoundation\Request;

/**
 * Sends batches to the real route, as the middleware's role.
 */
abstract class OperationsTestBase extends CommerceKernelTestBase {

  protected const PRODUCT = 'commerce_product--default';
  protected const VARIATION = 'commerce_product_variation--default';
  protected const TERM = 'taxonomy_term--catalog';

  /**
   * {@inheritdoc}
   */
  protected static $modules = [
    'file',
    'serialization',
    'jsonapi',
    'basic_auth',
    'language',
    'content_translation',
    'taxonomy',
    'profile',
    'state_machine',
    'entity_reference_revisions',
    'commerce_number_pattern',
    'commerce_product',
    'commerce_order',
    'commerce_payment',
    'commerce_waybill',
    'commerce_waybill_operations',
    'commerce_waybill_operations_test',
  ];

  /**
   * Products and variations that were saved or deleted, as "event id".
   *
   * @var string[]
   */
  protected array $writes = [];

  /**
   * {@inheritdoc}
   */
  public function register(ContainerBuilder $container): void {
    parent::register($container);
    $container->getDefinition('lock')->setClass(DatabaseLockBackend::class)->addArgument($container->getDefinition('database'));
  }

  /**
   * {@inheritdoc}
   */
  protected function setUp(): void {
    parent::setUp();
    $this->installEntitySchema('commerce_product_variation');
    $this->installEntitySchema('commerce_product');
    $this->installEntitySchema('commerce_product_attribute_value');
    $this->installEntitySchema('taxonomy_term');
    $this->installEntitySchema('configurable_language');
    $this->installConfig(['language', 'commerce_product', 'commerce_waybill', 'commerce_waybill_operations']);
    ConfigurableLanguage::createFromLangcode('de')->save();
    Vocabulary::create(['vid' => 'catalog', 'name' => 'Catalog'])->save();
    $this->addField('commerce_product_variation', 'default', 'field_stock', 'integer');
    $this->addField('commerce_product', 'default', 'field_catalog', 'entity_reference', ['target_type' => 'taxonomy_term']);
    $translation = $this->container->get('content_translation.manager');
    $translation->setEnabled('commerce_product', 'default', TRUE);
    $translation->setEnabled('commerce_product_variation', 'default', TRUE);
    $this->container->get('module_handler')->loadInclude('commerce_waybill_operations', 'install');
    commerce_waybill_operations_install(FALSE);
    $this->container->get('router.builder')->rebuild();
    $this->createUser();
    $this->actAs([]);
    $this->listen();
  }

  /**
   * Makes the service account the current user.
   *
   * @param string[] $permissions
   *   What it may do beside what its role may.
   */
  protected function actAs(array $permissions): void {
    $account = $this->createUser($permissions);
    $account->addRole('waybill')->save();
    $this->container->get('current_user')->setAccount($account);
  }

  /**
   * Adds a field to a bundle.
   */
  private function addField(string $entity_type, string $bundle, string $name, string $type, array $settings = []): void {
    FieldStorageConfig::create([
      'entity_type' => $entity_type,
      'field_name' => $name,
      'type' => $type,
      'settings' => $settings,
      'cardinality' => $type === 'entity_reference' ? -1 : 1,
    ])->save();
    FieldConfig::create(['entity_type' => $entity_type, 'bundle' => $bundle, 'field_name' => $name])->save();
  }

  /**
   * Counts what is written.
   */
  private function listen(): void {
    $events = [
      ProductEvents::PRODUCT_INSERT => 'insert product',
      ProductEvents::PRODUCT_UPDATE => 'update product',
      ProductEvents::PRODUCT_DELETE => 'delete product',
      ProductEvents::PRODUCT_VARIATION_INSERT => 'insert variation',
      ProductEvents::PRODUCT_VARIATION_UPDATE => 'update variation',
      ProductEvents::PRODUCT_VARIATION_DELETE => 'delete variation',
    ];
    foreach ($events as $event => $what) {
      $this->container->get('event_dispatcher')->addListener($event, function () use ($what): void {
        $this->writes[] = $what;
      });
    }
  }

  /**
   * Sends operations.
   *
   * @return array{int, array}
   *   The status and the decoded document.
   */
  protected function send(array $operations, array $meta = []): array {
    return $this->post((string) json_encode(['atomic:operations' => $operations, 'meta' => $meta + ['run' => 'run-1']]));
  }

  /**
   * Sends operations that are all carried out, and gives their results.
   */
  protected function results(array $operations, array $meta = []): array {
    [$status, $document] = $this->send($operations, $meta);
    $this->assertSame(200, $status, (string) json_encode($document));
    $this->assertSame(['version' => '1.1', 'ext' => ['https://jsonapi.org/ext/atomic']], $document['jsonapi']);
    return $document['atomic:results'];
  }

  /**
   * Sends operations, and gives their statuses, or the status of an error.
   *
   * @return string[]
   *   Such as "created" or "422 /atomic:operations/0/data".
   */
  protected function statuses(array $operations, array $meta = []): array {
    return array_map(
      static fn (array $result): string => $result['meta']['status']
        ?? $result['errors'][0]['status'] . ' ' . ($result['errors'][0]['source']['pointer'] ?? ''),
      $this->results($operations, $meta),
    );
  }

  /**
   * Posts a body to the route.
   *
   * @return array{int, array}
   *   The status and the decoded document.
   */
  protected function post(string $body, string $type = 'application/vnd.api+json; ext="https://jsonapi.org/ext/atomic"'): array {
    $request = Request::create('/waybill/v1/operations', 'POST', [], [], [], ['CONTENT_TYPE' => $type], $body);
    $response = $this->container->get('http_kernel')->handle($request);
    return [$response->getStatusCode(), (array) json_decode((string) $response->getContent(), TRUE)];
  }

  /**
   * Makes the error document of one error.
   */
  protected static function error(int $status, string $title, string $detail, string $pointer, array $meta = []): array {
    $error = ['title' => $title, 'status' => (string) $status, 'detail' => $detail];
    if ($pointer !== '') {
      $error['source'] = ['pointer' => $pointer];
    }
    return ['errors' => [$meta ? $error + ['meta' => $meta] : $error]];
  }

  /**
   * Makes the operation that adds a variation.
   */
  protected static function addVariation(string $sku, array $more = [], array $attributes = []): array {
    return [
      'op' => 'add',
      'data' => $more + [
        'type' => self::VARIATION,
        'attributes' => $attributes + ['sku' => $sku] + self::price('19.99'),
      ],
    ];
  }

  /**
   * Makes the operation that adds a product.
   */
  protected function addProduct(string $title, array $variations, array $more = [], array $relationships = []): array {
    $stores = ['data' => [['type' => 'commerce_store--online', 'id' => $this->store->uuid()]]];
    $relationships += ['stores' => $stores] + ($variations ? ['variations' => ['data' => $variations]] : []);
    return [
      'op' => 'add',
      'data' => $more + [
        'type' => self::PRODUCT,
        'attributes' => ['title' => $title],
        'relationships' => $relationships,
      ],
    ];
  }

  /**
   * Makes the attribute of a price.
   */
  protected static function price(string|int|float $number, string $currency = 'USD'): array {
    return ['price' => ['number' => $number, 'currency_code' => $currency]];
  }

  /**
   * Makes the relationships of a variation of a product.
   */
  protected static function under(ProductInterface $product): array {
    return ['relationships' => ['product_id' => ['data' => self::id(self::PRODUCT, $product->uuid())]]];
  }

  /**
   * Makes an operation on something that exists.
   */
  protected static function on(string $op, string $type, array $ref, array $attributes = []): array {
    $data = $attributes ? ['data' => ['type' => $type, 'attributes' => $attributes]] : [];
    return ['op' => $op, 'ref' => ['type' => $type] + $ref] + $data;
  }

  /**
   * Makes an identifier.
   */
  protected static function id(string $type, string $value, string $kind = 'id'): array {
    return ['type' => $type, $kind => $value];
  }

  /**
   * Stores a product with variations, without the route.
   *
   * @param string[] $skus
   *   The variations.
   */
  protected function product(array $skus): ProductInterface {
    $variations = array_map(static fn (string $sku): ProductVariation => ProductVariation::create([
      'type' => 'default',
      'sku' => $sku,
      'price' => ['number' => '19.99', 'currency_code' => 'USD'],
      'field_stock' => 5,
      'waybill_links' => ["pim:$sku"],
      'changed' => 1000,
    ]), $skus);
    $product = Product::create([
      'type' => 'default',
      'title' => 'Mug',
      'stores' => [$this->store],
      'variations' => $variations,
      'changed' => 1000,
    ]);
    $product->save();
    $this->writes = [];
    return $product;
  }

  /**
   * Reads a variation as it is stored.
   */
  protected function variation(string $sku): ?ProductVariationInterface {
    $storage = $this->container->get('entity_type.manager')->getStorage('commerce_product_variation');
    $storage->resetCache();
    $found = $storage->loadByProperties(['sku' => $sku]);
    return reset($found) ?: NULL;
  }

  /**
   * Reads what matters of a variation.
   *
   * @return array|null
   *   SKU, price, stock, links, run; NULL when there is none.
   */
  protected function stored(string $sku): ?array {
    $variation = $this->variation($sku);
    return $variation ? [
      $variation->getSku(),
      (string) $variation->getPrice(),
      $variation->get('field_stock')->value === NULL ? NULL : (int) $variation->get('field_stock')->value,
      array_column($variation->get('waybill_links')->getValue(), 'value'),
      $variation->get('waybill_run')->value,
    ] : NULL;
  }

  /**
   * Counts what is stored, and variations that no product lists.
   *
   * @return array{products: int, variations: int, orphans: int}
   *   The numbers.
   */
  protected function counts(): array {
    $manager = $this->container->get('entity_type.manager');
    $manager->getStorage('commerce_product')->resetCache();
    $listed = [];
    foreach ($manager->getStorage('commerce_product')->loadMultiple() as $product) {
      array_push($listed, ...$product->getVariationIds());
    }
    $products = $manager->getStorage('commerce_product')->getQuery()->accessCheck(FALSE)->count()->execute();
    $ids = $manager->getStorage('commerce_product_variation')->getQuery()->accessCheck(FALSE)->execute();
    return ['products' => (int) $products, 'variations' => count($ids), 'orphans' => count(array_diff($ids, $listed))];
  }

  /**
   * Gives a permission to, or takes it from, the middleware's role.
   */
  protected function grant(string ...$permissions): void {
    $role = Role::load('waybill');
    array_map($role->grantPermission(...), $permissions);
    $role->save();
  }

}
