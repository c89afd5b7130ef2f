<?php

declare(strict_types=1);

namespace Drupal\Tests\commerce_waybill_operations\Kernel;

use Drupal\commerce_product\Entity\ProductAttribute;

/**
 * Tests adding, updating and removing, and that a repeat changes nothing.
 *
 * @group commerce_waybill
 */
class OperationsTest extends OperationsTestBase {

  private const UUID = '0fb5a1c2-6a53-4d0e-9d2f-1c5c6f2f0001';

  /**
   * A product and its variation are created, and a repeat writes nothing.
   */
  public function testProductWithVariationIsCreatedOnce(): void {
    $operations = [
      self::addVariation('MUG-1', ['lid' => 'v1'], ['waybill_links' => ['pim:1']]),
      $this->addProduct('Mug', [self::id(self::VARIATION, 'v1', 'lid')], ['id' => self::UUID]),
    ];
    $results = $this->results($operations);
    $variation = $this->variation('MUG-1');
    $this->assertSame([
      ['data' => ['type' => self::VARIATION, 'id' => $variation->uuid()], 'meta' => ['status' => 'created']],
      ['data' => ['type' => self::PRODUCT, 'id' => self::UUID], 'meta' => ['status' => 'created']],
    ], $results);
    $this->assertSame(['MUG-1', '19.99 USD', NULL, ['pim:1'], 'run-1'], $this->stored('MUG-1'));
    $this->assertSame('Mug', $variation->getTitle());
    $this->assertSame([self::UUID, [$variation->id()], 'run-1'], [
      $variation->getProduct()->uuid(),
      $variation->getProduct()->getVariationIds(),
      $variation->getProduct()->get('waybill_run')->value,
    ]);

    $this->writes = [];
    $this->assertSame(['unchanged', 'unchanged'], $this->statuses($operations, ['run' => 'run-2']));
    $this->assertSame([], $this->writes);
    $this->assertSame('run-1', $this->stored('MUG-1')[4]);
    $this->assertSame(['products' => 1, 'variations' => 1, 'orphans' => 0], $this->counts());
  }

  /**
   * Price and stock are updated by id, link and SKU.
   */
  public function testUpdatesByIdLinkAndSku(): void {
    $this->product(['A', 'B', 'C']);
    $before = time();
    $results = $this->results([
      self::on('update', self::VARIATION, ['id' => strtoupper($this->variation('A')->uuid())], ['field_stock' => 7]),
      self::on('update', self::VARIATION, ['link' => 'pim:B'], self::price('21.5')),
      self::on('update', self::VARIATION, ['sku' => 'C'], ['field_stock' => 0] + self::price(3)),
    ]);
    $this->assertSame(['updated', 'updated', 'updated'], array_column(array_column($results, 'meta'), 'status'));
    $this->assertSame($this->variation('B')->uuid(), $results[1]['data']['id']);
    $this->assertSame(['A', '19.99 USD', 7, ['pim:A'], 'run-1'], $this->stored('A'));
    $this->assertSame(['B', '21.5 USD', 5, ['pim:B'], 'run-1'], $this->stored('B'));
    $this->assertSame(['C', '3 USD', 0, ['pim:C'], 'run-1'], $this->stored('C'));
    $this->assertGreaterThanOrEqual($before, (int) $this->variation('A')->get('waybill_synced')->value);
    $this->assertSame(['update variation', 'update variation', 'update variation'], $this->writes);
  }

  /**
   * An entity that has the values already is not saved.
   */
  public function testUnchangedIsNotSaved(): void {
    $product = $this->product(['A']);
    $changed = $this->variation('A')->getChangedTime();
    $stored = $this->stored('A');
    $operations = [
      self::on('update', self::VARIATION, ['sku' => 'A'], [
        'price' => ['number' => '19.990000', 'currency_code' => 'USD'],
        'field_stock' => '5',
        'status' => TRUE,
        'waybill_links' => ['pim:A'],
        'title' => 'Generated anyway',
        'list_price' => NULL,
      ]),
      self::on('update', self::VARIATION, ['sku' => 'A'], self::price(19.99)),
      [
        'op' => 'update',
        'ref' => self::id(self::PRODUCT, $product->uuid()),
        'data' => [
          'type' => self::PRODUCT,
          'id' => $product->uuid(),
          'attributes' => ['title' => 'Mug', 'created' => gmdate('Y-m-d\TH:i:s+00:00', $product->getCreatedTime())],
          'relationships' => [
            'stores' => ['data' => [self::id('commerce_store--online', $this->store->uuid())]],
            'variations' => ['data' => [self::id(self::VARIATION, 'A', 'sku')]],
            'field_catalog' => ['data' => []],
          ],
        ],
      ],
    ];
    $this->assertSame(['unchanged', 'unchanged', 'unchanged'], $this->statuses($operations));
    $this->assertSame([], $this->writes);
    $this->assertSame([$changed, $stored], [$this->variation('A')->getChangedTime(), $this->stored('A')]);
  }

  /**
   * What looks alike but is not the same is saved.
   */
  public function testNumbersThatAreTextAreComparedAsText(): void {
    $this->product(['007']);
    $this->assertSame(['updated'], $this->statuses([self::on('update', self::VARIATION, ['link' => 'pim:007'], ['sku' => '7'])]));
    $this->assertSame(['7', '19.99 USD', 5, ['pim:007'], 'run-1'], $this->stored('7'));
  }

  /**
   * More decimals than are stored do not make a change of every repeat.
   */
  public function testDecimalsBeyondTheScaleAreNoChange(): void {
    $this->product(['A']);
    $operations = [self::on('update', self::VARIATION, ['sku' => 'A'], self::price('1.0000005'))];
    // SQLite keeps every decimal, other databases six: both are the same here.
    $this->assertSame(['updated'], $this->statuses($operations));
    $this->assertSame(['unchanged'], $this->statuses($operations));
  }

  /**
   * Removing a product removes its variations; a repeat finds nothing.
   */
  public function testRemovesOnce(): void {
    $product = $this->product(['A', 'B']);
    $other = $this->product(['C', 'D']);
    $this->actAs(['delete any default commerce_product']);
    $operations = [
      self::on('remove', self::PRODUCT, ['id' => $product->uuid()]),
      self::on('remove', self::VARIATION, ['sku' => 'C']),
      self::on('remove', self::VARIATION, ['link' => 'pim:A']),
    ];
    $uuid = $this->variation('C')->uuid();
    $this->assertSame([
      ['data' => ['type' => self::PRODUCT, 'id' => $product->uuid()], 'meta' => ['status' => 'removed']],
      ['data' => ['type' => self::VARIATION, 'id' => $uuid], 'meta' => ['status' => 'removed']],
      ['data' => NULL, 'meta' => ['status' => 'absent']],
    ], $this->results($operations));
    $this->assertSame(['products' => 1, 'variations' => 1, 'orphans' => 0], $this->counts());
    $this->assertSame([$this->variation('D')->id()], $this->reloadEntity($other)->getVariationIds());

    $this->writes = [];
    $this->assertSame([
      ['data' => ['type' => self::PRODUCT, 'id' => $product->uuid()], 'meta' => ['status' => 'absent']],
      ['data' => NULL, 'meta' => ['status' => 'absent']],
      ['data' => NULL, 'meta' => ['status' => 'absent']],
    ], $this->results($operations));
    $this->assertSame([], $this->writes);
  }

  /**
   * A link names what is created by it, and finds it again.
   */
  public function testAddByLinkFindsIt(): void {
    $product = $this->product(['A']);
    $add = static fn (string $price): array => [
      'op' => 'add',
      'ref' => self::id(self::VARIATION, 'pim:77', 'link'),
      'data' => [
        'type' => self::VARIATION,
        'attributes' => ['sku' => 'B', 'price' => ['number' => $price, 'currency_code' => 'USD']],
        'relationships' => ['product_id' => ['data' => self::id(self::PRODUCT, $product->uuid())]],
      ],
    ];
    $this->assertSame(['created'], $this->statuses([$add('1')]));
    $this->assertSame(['unchanged'], $this->statuses([$add('1.00')]));
    $this->assertSame(['updated'], $this->statuses([$add('2')]));
    $this->assertSame(['B', '2 USD', NULL, ['pim:77'], 'run-1'], $this->stored('B'));
    $this->assertSame(['products' => 1, 'variations' => 2, 'orphans' => 0], $this->counts());
  }

  /**
   * A link in the data finds what exists, and may not belong to another one.
   */
  public function testLinkInDataFindsAndConflicts(): void {
    $this->product(['A', 'B']);
    $attributes = ['waybill_links' => 'pim:A', 'field_stock' => 9];
    $operation = static fn (array $more): array => self::addVariation('A', $more, $attributes);
    $this->assertSame(['updated'], $this->statuses([$operation([])]));
    $conflict = self::error(409, 'Conflict', 'The id and the links of this resource belong to different ones.', '/atomic:operations/0/data');
    $this->assertSame([$conflict], $this->results([$operation(['id' => $this->variation('B')->uuid()])]));
    $this->assertSame([$conflict], $this->results([$operation(['id' => self::UUID])]));
    $this->assertSame(['A', '19.99 USD', 9, ['pim:A'], 'run-1'], $this->stored('A'));
  }

  /**
   * Terms are created and referred to by a product of the same batch.
   */
  public function testTermsOfTheSameBatch(): void {
    $term = [
      'op' => 'add',
      'data' => ['type' => self::TERM, 'id' => self::UUID, 'lid' => 'mugs', 'attributes' => ['name' => 'Mugs']],
    ];
    $catalog = ['field_catalog' => ['data' => [self::id(self::TERM, 'mugs', 'lid')]]];
    $operations = [
      self::addVariation('A', ['lid' => 'a', 'id' => substr_replace(self::UUID, '2', -1)]),
      $this->addProduct('Mug', [self::id(self::VARIATION, 'a', 'lid')], ['id' => substr_replace(self::UUID, '3', -1)], $catalog),
      $term,
    ];
    $this->assertSame(['created', 'created', 'created'], $this->statuses($operations));
    $mugs = $this->variation('A')->getProduct()->get('field_catalog')->entity;
    $this->assertSame(['Mugs', self::UUID], [$mugs->label(), $mugs->uuid()]);
    $this->writes = [];
    $this->assertSame(['unchanged', 'unchanged', 'unchanged'], $this->statuses($operations));
    $this->assertSame([], $this->writes);
  }

  /**
   * Attribute values are written, and found by id and by link.
   */
  public function testAttributeValues(): void {
    ProductAttribute::create(['id' => 'color', 'label' => 'Color'])->save();
    $type = 'commerce_product_attribute_value--color';
    $add = ['op' => 'add', 'data' => ['type' => $type, 'id' => self::UUID, 'attributes' => ['name' => 'Red']]];
    $operations = [$add, self::on('update', $type, ['id' => self::UUID], ['name' => 'Blue'])];
    $this->assertSame(['created', 'updated'], $this->statuses($operations));
    $this->assertSame(['updated', 'updated'], $this->statuses($operations));
    $linked = [self::on('add', $type, ['link' => 'pim:red'], ['name' => 'Red'])];
    $this->assertSame(['created'], $this->statuses($linked));
    $this->assertSame(['unchanged'], $this->statuses($linked));
    $stored = $this->container->get('entity_type.manager')->getStorage('commerce_product_attribute_value')->loadMultiple();
    $this->assertSame(['Blue', 'Red'], array_values(array_map(static fn ($value): string => $value->getName(), $stored)));
  }

  /**
   * A bad operation stops no other one: two hundred with three bad ones.
   */
  public function testTwoHundredWithThreeBadOnes(): void {
    $skus = array_map(static fn (int $number): string => "S$number", range(0, 199));
    $this->product($skus);
    $operations = array_map(static fn (string $sku): array => self::on('update', self::VARIATION, ['sku' => $sku], ['field_stock' => 8]), $skus);
    $operations[20]['ref']['sku'] = 'NO-SUCH';
    $operations[77]['data']['attributes'] = self::price('1', 'XXX');
    $operations[150]['data']['attributes'] = ['field_stock' => 'many'];
    $results = $this->results($operations);
    $failed = array_filter($results, static fn (array $result): bool => isset($result['errors']));
    $at = '/atomic:operations';
    $this->assertSame([
      20 => self::error(404, 'Not Found', 'The resource could not be found.', "$at/20/ref"),
      77 => self::error(422, 'Unprocessable Content', 'price.0.currency_code: The currency "XXX" is not valid.', "$at/77/data/attributes/price/currency_code"),
      150 => self::error(422, 'Unprocessable Content', 'field_stock.0.value: This value should be of the correct primitive type.', "$at/150/data/attributes/field_stock/value"),
    ], $failed);
    $statuses = array_column(array_column(array_diff_key($results, $failed), 'meta'), 'status');
    $this->assertSame(array_fill(0, 197, 'updated'), $statuses);
    $this->assertSame(array_fill(0, 197, 'update variation'), $this->writes);
    $stock = fn (string $sku): int => $this->stored($sku)[2];
    $this->assertSame([8, 5, 5, 5, 8], array_map($stock, ['S0', 'S20', 'S77', 'S150', 'S199']));
  }

  /**
   * In mode "all" the first failure undoes everything.
   */
  public function testModeAllRollsBack(): void {
    $product = $this->product(['A', 'B']);
    $meta = ['mode' => 'all'];
    $operations = [
      self::on('update', self::PRODUCT, ['id' => $product->uuid()], ['title' => 'Cup']),
      self::on('update', self::VARIATION, ['sku' => 'A'], ['field_stock' => 1]),
      self::addVariation('N', self::under($product)),
      self::on('update', self::VARIATION, ['sku' => 'B'], self::price('1', 'XXX')),
    ];
    [$status, $document] = $this->send($operations, $meta);
    $error = self::error(
      422,
      'Unprocessable Content',
      'price.0.currency_code: The currency "XXX" is not valid.',
      '/atomic:operations/3/data/attributes/price/currency_code',
    );
    $this->assertSame([422, $error['errors']], [$status, $document['errors']]);
    $this->assertSame(['A', '19.99 USD', 5, ['pim:A'], NULL], $this->stored('A'));
    $this->assertSame('Mug', $this->reloadEntity($product)->getTitle());
    $this->assertSame(['products' => 1, 'variations' => 2, 'orphans' => 0], $this->counts());

    $operations[3]['data']['attributes']['price']['currency_code'] = 'USD';
    $this->assertSame(['updated', 'updated', 'created', 'updated'], $this->statuses($operations, $meta));
    $this->assertSame(['A', '19.99 USD', 1, ['pim:A'], 'run-1'], $this->stored('A'));
    $this->assertSame(['B', '1 USD', 5, ['pim:B'], 'run-1'], $this->stored('B'));
    $this->assertSame(['products' => 1, 'variations' => 3, 'orphans' => 0], $this->counts());
  }

  /**
   * An exception of the site is one operation's failure, and is not shown.
   */
  public function testUnexpectedFailureIsContained(): void {
    $product = $this->product(['A']);
    $this->container->get('state')->set('commerce_waybill_operations_test.breaks', 'Broken');
    $operations = [
      self::on('update', self::PRODUCT, ['id' => $product->uuid()], ['title' => 'Broken']),
      self::on('update', self::VARIATION, ['sku' => 'A'], ['field_stock' => 1]),
    ];
    $failure = self::error(500, 'Internal Server Error', 'The site failed to carry this out; its log says why.', '/atomic:operations/0');
    $results = $this->results($operations);
    $this->assertSame([$failure, 'updated'], [$results[0], $results[1]['meta']['status']]);
    $this->assertSame('Mug', $this->reloadEntity($product)->getTitle());

    $operations[1]['data']['attributes']['field_stock'] = 2;
    [$status, $document] = $this->send(array_reverse($operations), ['mode' => 'all']);
    $pointer = $document['errors'][0]['source']['pointer'];
    $this->assertSame([500, '/atomic:operations/1', 1], [$status, $pointer, $this->stored('A')[2]]);
  }

}
