<?php

declare(strict_types=1);

namespace Drupal\Tests\commerce_waybill_operations\Kernel;

/**
 * Tests products with their variations: settled together, without orphans.
 *
 * @group commerce_waybill
 */
class OperationsFamilyTest extends OperationsTestBase {

  private const ORPHAN = 'A variation would be left without a product: name its product, add a product that refers to it, or remove it.';

  /**
   * Refers to a product from a variation.
   */
  private static function of(string $value, string $kind): array {
    return ['product_id' => ['data' => self::id(self::PRODUCT, $value, $kind)]];
  }

  /**
   * A variation may follow the product that was added before it.
   */
  public function testVariationsFollowTheirNewProduct(): void {
    $operations = [
      $this->addProduct('Mug', [], ['lid' => 'p']),
      self::on('add', self::PRODUCT, ['lid' => 'p', 'langcode' => 'de'], ['title' => 'Becher']),
      self::addVariation('A', ['relationships' => self::of('p', 'lid')]),
      self::addVariation('B', ['lid' => 'b', 'relationships' => self::of('p', 'lid')]),
      self::on('update', self::VARIATION, ['lid' => 'b'], ['field_stock' => 4]),
    ];
    $this->assertSame(['created', 'created', 'created', 'created', 'updated'], $this->statuses($operations));
    $product = $this->variation('A')->getProduct();
    $this->assertSame(['Mug', 'Becher'], [$product->getTitle(), $product->getTranslation('de')->getTitle()]);
    $this->assertSame([$this->variation('A')->id(), $this->variation('B')->id()], $product->getVariationIds());
    $this->assertSame(['B', '19.99 USD', 4, [], 'run-1'], $this->stored('B'));
    $this->assertSame(['products' => 1, 'variations' => 2, 'orphans' => 0], $this->counts());
  }

  /**
   * A product of the batch may be named by a link.
   */
  public function testVariationNamesItsProductByLink(): void {
    $product = $this->addProduct('Mug', []);
    $product['data']['attributes']['waybill_links'] = ['pim:mug'];
    $operations = [
      self::addVariation('A', ['relationships' => self::of('pim:mug', 'link')], ['waybill_links' => ['pim:a']]),
      $product,
    ];
    $this->assertSame(['created', 'created'], $this->statuses($operations));
    $this->writes = [];
    $this->assertSame(['unchanged', 'unchanged'], $this->statuses($operations));
    $operations[] = self::addVariation('B', ['relationships' => self::of('pim:mug', 'link')], ['waybill_links' => ['pim:b']]);
    $this->assertSame(['unchanged', 'unchanged', 'created'], $this->statuses($operations));
    $this->assertSame(['update product', 'insert variation'], $this->writes);
    $this->assertSame(['products' => 1, 'variations' => 2, 'orphans' => 0], $this->counts());
  }

  /**
   * A product that exists takes a new variation into its list.
   */
  public function testExistingProductListsNewVariation(): void {
    $product = $this->product(['A']);
    $listed = [self::id(self::VARIATION, 'A', 'sku'), self::id(self::VARIATION, 'b', 'lid')];
    $update = [
      'op' => 'update',
      'ref' => self::id(self::PRODUCT, $product->uuid()),
      'data' => ['type' => self::PRODUCT, 'relationships' => ['variations' => ['data' => $listed]]],
    ];
    $this->assertSame(['created', 'updated'], $this->statuses([self::addVariation('B', ['lid' => 'b']), $update]));
    $this->assertSame([$this->variation('A')->id(), $this->variation('B')->id()], $this->reloadEntity($product)->getVariationIds());
    $this->assertSame($product->id(), $this->variation('B')->getProductId());

    // Also when both sides name each other.
    $update['data']['relationships']['variations']['data'][] = self::id(self::VARIATION, 'c', 'lid');
    $update['data']['relationships']['variations']['data'][1] = self::id(self::VARIATION, 'B', 'sku');
    $add = self::addVariation('C', ['lid' => 'c', 'relationships' => self::of($product->uuid(), 'id')]);
    $this->assertSame(['created', 'unchanged'], $this->statuses([$add, $update]));
    $this->assertSame(['products' => 1, 'variations' => 3, 'orphans' => 0], $this->counts());
  }

  /**
   * A variation without a product is not kept.
   */
  public function testVariationAloneIsRefused(): void {
    $this->product(['A']);
    $error = self::error(422, 'Unprocessable Content', self::ORPHAN, '/atomic:operations/1/data/relationships');
    $operations = [
      self::on('update', self::VARIATION, ['sku' => 'A'], ['field_stock' => 9]),
      self::addVariation('ALONE', ['lid' => 'alone'], ['waybill_links' => ['pim:alone']]),
    ];
    $results = $this->results($operations);
    $this->assertSame(['updated', $error], [$results[0]['meta']['status'], $results[1]]);
    $this->assertSame(['products' => 1, 'variations' => 1, 'orphans' => 0], $this->counts());
    $this->assertNull($this->stored('ALONE'));

    $operations[0]['data']['attributes']['field_stock'] = 10;
    [$status, $document] = $this->send($operations, ['mode' => 'all']);
    $this->assertSame([422, $error['errors']], [$status, $document['errors']]);
    $this->assertSame([9, 1], [$this->stored('A')[2], $this->counts()['variations']]);
  }

  /**
   * A product that fails leaves no variation behind, whichever comes first.
   */
  public function testFailedProductLeavesNoOrphan(): void {
    $existing = $this->product(['OLD']);
    $bad = $this->addProduct('', [self::id(self::VARIATION, 'a', 'lid')], ['lid' => 'p']);
    $operations = [
      self::addVariation('A', ['lid' => 'a']),
      $bad,
      self::addVariation('B', ['relationships' => self::of('p', 'lid')]),
      self::on('update', self::VARIATION, ['sku' => 'OLD'], ['field_stock' => 1]),
      self::addVariation('C', ['relationships' => self::of($existing->uuid(), 'id')]),
    ];
    $title = self::error(422, 'Unprocessable Content', 'title: This value should not be null.', '/atomic:operations/1/data/attributes/title');
    $results = $this->results($operations);
    $this->assertSame([
      self::error(422, 'Unprocessable Content', self::ORPHAN, '/atomic:operations/0/data/relationships'),
      $title,
      self::error(422, 'Unprocessable Content', self::ORPHAN, '/atomic:operations/2/data/relationships'),
    ], array_slice($results, 0, 3));
    $this->assertSame(['updated', 'created'], [$results[3]['meta']['status'], $results[4]['meta']['status']]);
    $this->assertSame(['products' => 1, 'variations' => 2, 'orphans' => 0], $this->counts());

    [$status, $document] = $this->send(array_slice($operations, 0, 3), ['mode' => 'all']);
    $this->assertSame([422, $title['errors']], [$status, $document['errors']]);
    $this->assertSame(['products' => 1, 'variations' => 2, 'orphans' => 0], $this->counts());
  }

  /**
   * A new product comes without a variation of its that is refused.
   */
  public function testNewProductComesWithoutWhatFails(): void {
    $bad = self::addVariation('B', ['relationships' => self::of('p', 'lid')], self::price('1', 'XXX'));
    $operations = [
      $this->addProduct('Mug', [], ['lid' => 'p']),
      self::addVariation('A', ['relationships' => self::of('p', 'lid')]),
      $bad,
    ];
    $results = $this->results($operations);
    $this->assertSame(['created', 'created', '422'], [
      $results[0]['meta']['status'],
      $results[1]['meta']['status'],
      $results[2]['errors'][0]['status'],
    ]);
    $this->assertSame([$this->variation('A')->id()], $this->variation('A')->getProduct()->getVariationIds());
    $this->assertSame(['products' => 1, 'variations' => 1, 'orphans' => 0], $this->counts());

    // A product that would have none is refused.
    $results = $this->results([$this->addProduct('Cup', [], ['lid' => 'p']), $bad]);
    $this->assertSame(['422', '422'], [$results[0]['errors'][0]['status'], $results[1]['errors'][0]['status']]);
    $this->assertSame(['products' => 1, 'variations' => 1, 'orphans' => 0], $this->counts());
  }

  /**
   * A variation that fails takes along only what cannot be without it.
   */
  public function testFailedVariationTakesItsProductAlong(): void {
    $bad = self::addVariation('B', ['lid' => 'b'], self::price('1', 'XXX'));
    $operations = [
      self::addVariation('A', ['lid' => 'a']),
      $bad,
      $this->addProduct('Mug', [self::id(self::VARIATION, 'a', 'lid'), self::id(self::VARIATION, 'b', 'lid')]),
      self::addVariation('C', ['lid' => 'c']),
      $this->addProduct('Cup', [self::id(self::VARIATION, 'c', 'lid')]),
    ];
    $this->assertSame([
      '422 /atomic:operations/0/data/relationships',
      '422 /atomic:operations/1/data/attributes/price/currency_code',
      '404 /atomic:operations/2/data/relationships/variations/data/1',
      'created',
      'created',
    ], $this->statuses($operations));
    $this->assertSame(['products' => 1, 'variations' => 1, 'orphans' => 0], $this->counts());
    $this->assertSame('Cup', $this->variation('C')->getProduct()->getTitle());
  }

  /**
   * A product cannot drop a variation that is not removed as well.
   */
  public function testDroppedVariationIsRemovedOrStays(): void {
    $product = $this->product(['A', 'B']);
    $this->actAs(['delete any default commerce_product']);
    $drop = [
      'op' => 'update',
      'ref' => self::id(self::PRODUCT, $product->uuid()),
      'data' => [
        'type' => self::PRODUCT,
        'relationships' => ['variations' => ['data' => [self::id(self::VARIATION, 'A', 'sku')]]],
      ],
    ];
    $error = self::error(422, 'Unprocessable Content', self::ORPHAN, '/atomic:operations/0/data/relationships');
    $this->assertSame([$error], $this->results([$drop]));
    $this->assertSame(['products' => 1, 'variations' => 2, 'orphans' => 0], $this->counts());

    $other = $this->product(['C', 'D']);
    $drop['ref']['id'] = $other->uuid();
    $drop['data']['relationships']['variations']['data'] = [self::id(self::VARIATION, 'D', 'sku')];
    $remove = self::on('remove', self::VARIATION, ['sku' => 'C']);
    $this->assertSame(['updated', 'removed'], $this->statuses([$drop, $remove]));
    $this->assertSame(['products' => 2, 'variations' => 3, 'orphans' => 0], $this->counts());
  }

  /**
   * A variation does not move to another product.
   */
  public function testVariationDoesNotMove(): void {
    $this->product(['A']);
    $other = $this->product(['B']);
    $move = ['op' => 'update', 'ref' => self::id(self::VARIATION, 'A', 'sku')];
    $move['data'] = ['type' => self::VARIATION, 'relationships' => self::of($other->uuid(), 'id')];
    $error = self::error(422, 'Unprocessable Content', 'product_id: This cannot be changed.', '/atomic:operations/0/data/relationships/product_id');
    $this->assertSame([$error], $this->results([$move]));
    $move['ref']['sku'] = 'B';
    $this->assertSame(['unchanged'], $this->statuses([$move]));
  }

}
