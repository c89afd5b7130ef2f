<?php

declare(strict_types=1);

namespace Drupal\Tests\commerce_waybill_operations\Kernel;

use Drupal\commerce_product\Entity\ProductType;
use Drupal\Core\Session\AnonymousUserSession;
use Drupal\user\Entity\Role;
use Symfony\Component\HttpFoundation\Request;

/**
 * Tests who may do what, what is refused, and how it is said.
 *
 * @group commerce_waybill
 */
class OperationsAccessTest extends OperationsTestBase {

  /**
   * The role gets the least that catalog work needs, and loses it again.
   */
  public function testRoleIsGrantedTheLeast(): void {
    $granted = [
      'access content',
      'create default commerce_product',
      'create terms in catalog',
      'edit terms in catalog',
      'manage default commerce_product_variation',
      'update any default commerce_product',
      'update commerce_product_attribute',
      'use commerce_waybill',
      'use commerce_waybill operations',
      'view commerce_product',
      'view commerce_store',
    ];
    $this->assertEqualsCanonicalizing($granted, Role::load('waybill')->getPermissions());
    commerce_waybill_operations_uninstall(FALSE);
    $this->assertSame(['use commerce_waybill'], Role::load('waybill')->getPermissions());
    $this->assertNull($this->container->get('state')->get('commerce_waybill_operations.granted'));

    $this->grant('view commerce_product');
    commerce_waybill_operations_install(FALSE);
    commerce_waybill_operations_uninstall(FALSE);
    $this->assertEqualsCanonicalizing(['use commerce_waybill', 'view commerce_product'], Role::load('waybill')->getPermissions());
  }

  /**
   * Without the permission nobody gets in; with basic auth the account does.
   */
  public function testRouteIsClosed(): void {
    $this->installConfig(['user']);
    $this->createUser([], 'robot')->setPassword('secret')->addRole('waybill')->save();
    $this->createUser(['use commerce_waybill'], 'watcher')->setPassword('secret')->save();
    $body = (string) json_encode(['atomic:operations' => [self::on('remove', self::VARIATION, ['sku' => 'A'])]]);
    $answer = function (array $server) use ($body): array {
      $this->container->get('current_user')->setAccount(new AnonymousUserSession());
      $server += ['CONTENT_TYPE' => 'application/vnd.api+json'];
      $request = Request::create('/waybill/v1/operations', 'POST', [], [], [], $server, $body);
      $response = $this->container->get('http_kernel')->handle($request);
      $document = json_decode((string) $response->getContent(), TRUE);
      return [
        $response->getStatusCode(),
        $response->headers->get('Content-Type'),
        $document['errors'][0]['detail'] ?? $document['atomic:results'],
      ];
    };
    $type = 'application/vnd.api+json';
    $this->assertSame([401, $type, 'No authentication credentials provided.'], $answer([]));
    $this->assertSame(
      [200, "$type; ext=\"https://jsonapi.org/ext/atomic\"", [['data' => NULL, 'meta' => ['status' => 'absent']]]],
      $answer(['PHP_AUTH_USER' => 'robot', 'PHP_AUTH_PW' => 'secret']),
    );
    $this->assertSame([403, $type, "The 'use commerce_waybill operations' permission is required."], $answer([
      'PHP_AUTH_USER' => 'watcher',
      'PHP_AUTH_PW' => 'secret',
    ]));
    [$status] = $this->post('{}', 'application/json');
    $this->assertSame(415, $status);
  }

  /**
   * A field that may not be edited is named, and nothing is changed.
   */
  public function testForbiddenFieldIsNamed(): void {
    $product = $this->product(['A']);
    $this->container->get('state')->set('commerce_waybill_operations_test.forbidden', ['price', 'variations']);
    $detail = static fn (string $method, string $field): string => "The current user is not allowed to $method the selected field ($field). The test forbids it.";
    $operations = [
      self::on('update', self::VARIATION, ['sku' => 'A'], ['field_stock' => 1] + self::price('2')),
      self::addVariation('B', self::under($product)),
      self::on('update', self::VARIATION, ['sku' => 'A'], ['field_stock' => 2] + self::price('19.99')),
      [
        'op' => 'update',
        'ref' => self::id(self::PRODUCT, $product->uuid()),
        'data' => ['type' => self::PRODUCT, 'relationships' => ['variations' => ['data' => []]]],
      ],
    ];
    $results = $this->results($operations);
    $this->assertSame([
      self::error(403, 'Forbidden', $detail('PATCH', 'price'), '/atomic:operations/0/data/attributes/price'),
      self::error(403, 'Forbidden', $detail('POST', 'price'), '/atomic:operations/1/data/attributes/price'),
      'updated',
      self::error(403, 'Forbidden', $detail('PATCH', 'variations'), '/atomic:operations/3/data/relationships/variations'),
    ], [$results[0], $results[1], $results[2]['meta']['status'], $results[3]]);
    $this->assertSame(['A', '19.99 USD', 2, ['pim:A'], 'run-1'], $this->stored('A'));
    $this->assertSame(['products' => 1, 'variations' => 1, 'orphans' => 0], $this->counts());
  }

  /**
   * Entity access is checked for each operation.
   */
  public function testEntityAccess(): void {
    $product = $this->product(['A']);
    $role = Role::load('waybill');
    foreach (['manage default commerce_product_variation', 'create default commerce_product'] as $permission) {
      $role->revokePermission($permission);
    }
    $role->save();
    $operations = [
      self::on('update', self::VARIATION, ['sku' => 'A'], ['field_stock' => 5]),
      self::on('update', self::PRODUCT, ['id' => $product->uuid()], ['title' => 'Cup']),
      self::on('remove', self::PRODUCT, ['id' => $product->uuid()]),
      $this->addProduct('Mug', [self::id(self::VARIATION, 'A', 'sku')]),
      self::on('remove', 'user--user', ['id' => $product->uuid()]),
      self::on('remove', 'nothing--here', ['id' => $product->uuid()]),
    ];
    $results = $this->results($operations);
    $this->assertSame('updated', $results[1]['meta']['status']);
    $this->assertSame([
      'The current user is not allowed to update this commerce_product_variation--default. The \'manage default commerce_product_variation\' permission is required.',
      'The current user is not allowed to remove this commerce_product--default. The following permissions are required: \'delete own commerce_product\' OR \'delete own default commerce_product\'.',
      'The current user is not allowed to create this commerce_product--default. The following permissions are required: \'administer commerce_product\' OR \'create commerce_product\' OR \'create default commerce_product\'.',
      'Operations on user--user are not allowed here.',
      'There is no resource type nothing--here.',
    ], array_map(static fn (int $index): string => $results[$index]['errors'][0]['detail'], [0, 2, 3, 4, 5]));
    $this->assertSame(
      ['403', '403', '403', '403', '422'],
      array_map(static fn (int $index): string => $results[$index]['errors'][0]['status'], [0, 2, 3, 4, 5]),
    );
    $this->assertSame(['products' => 1, 'variations' => 1, 'orphans' => 0], $this->counts());
  }

  /**
   * The entity types that may be written are a setting.
   */
  public function testAllowListIsSettable(): void {
    $this->product(['A']);
    $this->config('commerce_waybill_operations.settings')->set('entity_types', ['taxonomy_term'])->save();
    $operations = [
      self::on('update', self::VARIATION, ['sku' => 'A'], ['field_stock' => 1]),
      ['op' => 'add', 'data' => ['type' => self::TERM, 'attributes' => ['name' => 'Mugs']]],
    ];
    $this->assertSame(['403 /atomic:operations/0/data/type', 'created'], $this->statuses($operations));
  }

  /**
   * What is wrong with a resource object is said where it is.
   */
  public function testWrongValues(): void {
    $this->product(['A']);
    foreach (self::wrongValues() as $name => [$data, $error]) {
      $operation = self::on('update', self::VARIATION, ['sku' => 'A']) + ['data' => ['type' => self::VARIATION] + $data];
      $this->assertSame([self::error(...$error)], $this->results([$operation]), $name);
      $this->assertSame([['A', '19.99 USD', 5, ['pim:A'], NULL], []], [$this->stored('A'), $this->writes], $name);
    }
  }

  /**
   * Lists data that cannot be stored.
   */
  private static function wrongValues(): array {
    $at = '/atomic:operations/0/data/attributes';
    $title = 'Unprocessable Content';
    $zero = '00000000-0000-4000-8000-000000000000';
    $properties = "The properties 'amount' do not exist on the 'price' field of type 'commerce_price'. Writable properties are: 'number', 'currency_code'.";
    return [
      'unknown attribute' => [
        ['attributes' => ['no~such/one' => 1]],
        [
          422,
          $title,
          'The attribute no~such/one does not exist on the commerce_product_variation--default resource type.',
          "$at/no~0such~1one",
        ],
      ],
      'wrong primitive' => [
        ['attributes' => ['field_stock' => 'many']],
        [
          422,
          $title,
          'field_stock.0.value: This value should be of the correct primitive type.',
          "$at/field_stock/value",
        ],
      ],
      'object for a string' => [
        ['attributes' => ['sku' => ['value' => ['x']]]],
        [422, $title, 'sku.value: This value should be of the correct primitive type.', "$at/sku/value"],
      ],
      'unknown property' => [
        ['attributes' => ['price' => ['amount' => '1']]],
        [422, $title, $properties, "$at/price/amount"],
      ],
      'unknown currency' => [
        ['attributes' => self::price('1', 'GBP')],
        [422, $title, 'price.0.currency_code: The currency "GBP" is not valid.', "$at/price/currency_code"],
      ],
      'no currency' => [
        ['attributes' => ['price' => ['number' => '1']]],
        [422, $title, 'price: This value should not be null.', "$at/price"],
      ],
      'not a number' => [
        ['attributes' => self::price('abc')],
        [422, $title, 'price.0.number: This value is not valid.', "$at/price/number"],
      ],
      'not a date' => [
        ['attributes' => ['created' => 'yesterday']],
        [
          422,
          $title,
          'The specified date "yesterday" is not in an accepted format: "U" (UNIX timestamp), "Y-m-d\TH:i:sO" (ISO 8601), "Y-m-d\TH:i:sP" (RFC 3339).',
          "$at/created/value",
        ],
      ],
      'relationship as attribute' => [
        ['attributes' => ['product_id' => 1]],
        [
          422,
          $title,
          'The following relationship fields were provided as attributes: [ product_id ]',
          "$at/product_id",
        ],
      ],
      'attribute as relationship' => [
        ['relationships' => ['sku' => ['data' => NULL]]],
        [422, $title, 'This is an attribute, not a relationship.', '/atomic:operations/0/data/relationships/sku'],
      ],
      'reference to another type' => [
        ['relationships' => ['product_id' => ['data' => ['type' => self::VARIATION, 'sku' => 'A']]]],
        [
          422,
          $title,
          'Resources of type commerce_product_variation--default cannot be referred to here.',
          '/atomic:operations/0/data/relationships/product_id/data/type',
        ],
      ],
      'reference to nothing' => [
        ['relationships' => ['uid' => ['data' => ['type' => 'user--user', 'id' => $zero]]]],
        [
          404,
          'Not Found',
          "The resource identified by `user--user:$zero` (given as a relationship item) could not be found.",
          '/atomic:operations/0/data/relationships/uid/data',
        ],
      ],
    ];
  }

  /**
   * An id of another bundle is a conflict, whatever is to be done.
   */
  public function testAnotherBundleConflicts(): void {
    $product = $this->product(['A']);
    ProductType::create(['id' => 'bundle', 'label' => 'Bundle', 'variationTypes' => ['default']])->save();
    $this->actAs(['delete any bundle commerce_product', 'delete any default commerce_product']);
    $error = static fn (int $index): array => self::error(409, 'Conflict', 'The resource is of type commerce_product--default.', "/atomic:operations/$index/data/type");
    $results = $this->results([
      ['op' => 'add', 'data' => ['type' => 'commerce_product--bundle', 'id' => $product->uuid()]],
      self::on('update', 'commerce_product--bundle', ['id' => $product->uuid()], ['title' => 'Cup']),
      self::on('remove', 'commerce_product--bundle', ['id' => $product->uuid()]),
    ]);
    $this->assertSame([$error(0), $error(1), $error(2)], $results);
    $this->assertSame(['products' => 1, 'variations' => 1, 'orphans' => 0], $this->counts());
  }

  /**
   * A document that is not one is refused as a whole.
   */
  public function testMalformedDocument(): void {
    $this->config('commerce_waybill_operations.settings')->set('max_operations', 2)->save();
    foreach (self::documents() as $name => [$body, $status, $pointer]) {
      [$found, $document] = $this->post($body);
      $error = $document['errors'][0];
      $said = [$found, $error['status'], $error['source']['pointer'] ?? ''];
      $this->assertSame([$status, (string) $status, $pointer], $said, $name);
    }
  }

  /**
   * Lists documents that are refused.
   */
  private static function documents(): array {
    $at = '/atomic:operations';
    $one = static fn (string $operation): string => "{\"atomic:operations\": [$operation]}";
    $remove = '{"op": "remove", "ref": {"type": "a--b", "lid": "x"}}';
    return [
      'empty' => ['', 400, ''],
      'syntax' => ['{"atomic:operations": [', 400, ''],
      'depth' => [str_repeat('[', 80) . str_repeat(']', 80), 400, ''],
      'no operations' => ['{"data": {}}', 400, $at],
      'an empty list' => [$one(''), 400, $at],
      'an object' => ['{"atomic:operations": {"op": "add"}}', 400, $at],
      'too many' => [$one("$remove, $remove, $remove"), 413, $at],
      'mode' => ["{\"atomic:operations\": [$remove], \"meta\": {\"mode\": \"some\"}}", 400, '/meta/mode'],
      'run' => ["{\"atomic:operations\": [$remove], \"meta\": {\"run\": [1]}}", 400, '/meta/run'],
      'operation' => [$one('1'), 400, "$at/0/op"],
      'verb' => [$one('{"op": "replace"}'), 400, "$at/0/op"],
      'href' => [$one('{"op": "remove", "href": "/x"}'), 400, "$at/0"],
      'relationship' => [
        $one('{"op": "add", "ref": {"type": "a--b", "lid": "x", "relationship": "y"}}'),
        400,
        "$at/0",
      ],
      'neither ref nor data' => [$one('{"op": "add"}'), 400, "$at/0"],
      'no type' => [$one('{"op": "add", "data": {"attributes": {}}}'), 400, "$at/0/data/type"],
      'two types' => [
        $one('{"op": "update", "ref": {"type": "a--b", "lid": "x"}, "data": {"type": "a--c"}}'),
        400,
        "$at/0/data/type",
      ],
      'two ids' => [$one('{"op": "remove", "ref": {"type": "a--b", "lid": "x", "link": "y"}}'), 400, "$at/0/ref"],
      'no id' => [$one('{"op": "update", "data": {"type": "a--b"}}'), 400, "$at/0/ref"],
      'not a uuid' => [$one('{"op": "add", "data": {"type": "a--b", "id": "7"}}'), 400, "$at/0/data/id"],
      'other id' => [
        $one('{"op": "add", "ref": {"type": "a--b", "lid": "x"}, "data": {"type": "a--b", "lid": "y"}}'),
        400,
        "$at/0/data/lid",
      ],
      'lid twice' => [
        $one('{"op": "add", "data": {"type": "a--b", "lid": "x"}}, {"op": "add", "data": {"type": "a--b", "lid": "x"}}'),
        400,
        "$at/1/data/lid",
      ],
      'langcode' => [
        $one('{"op": "remove", "ref": {"type": "a--b", "lid": "x", "langcode": 7}}'),
        400,
        "$at/0/ref/langcode",
      ],
      'attributes' => [
        $one('{"op": "add", "data": {"type": "a--b", "attributes": [1]}}'),
        400,
        "$at/0/data/attributes",
      ],
      'relationship without data' => [
        $one('{"op": "add", "data": {"type": "a--b", "relationships": {"x": {}}}}'),
        400,
        "$at/0/data/relationships/x",
      ],
      'linkage' => [
        $one('{"op": "add", "data": {"type": "a--b", "relationships": {"x": {"data": "y"}}}}'),
        400,
        "$at/0/data/relationships/x/data",
      ],
      'virtual as an id' => [$one('{"op": "add", "data": {"type": "a--b", "id": "virtual"}}'), 400, "$at/0/data/id"],
    ];
  }

}
