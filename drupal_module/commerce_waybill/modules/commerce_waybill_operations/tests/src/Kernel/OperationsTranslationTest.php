<?php

declare(strict_types=1);

namespace Drupal\Tests\commerce_waybill_operations\Kernel;

/**
 * Tests translations, which core JSON:API can neither create nor delete.
 *
 * @group commerce_waybill
 */
class OperationsTranslationTest extends OperationsTestBase {

  /**
   * A translation is created, changed, left alone, removed and then absent.
   */
  public function testLifeOfTranslation(): void {
    $product = $this->product(['A']);
    $ref = ['id' => $product->uuid(), 'langcode' => 'de'];
    $titles = function () use ($product): array {
      $stored = $this->reloadEntity($product);
      return array_map(static fn ($language): string => $stored->getTranslation($language->getId())->getTitle(), $stored->getTranslationLanguages());
    };
    $data = ['type' => self::PRODUCT, 'id' => $product->uuid()];
    $steps = [
      ['update', 'Becher', '404 /atomic:operations/0/ref/langcode', ['en' => 'Mug']],
      ['add', 'Becher', 'created', ['en' => 'Mug', 'de' => 'Becher']],
      ['add', 'Becher', 'unchanged', ['en' => 'Mug', 'de' => 'Becher']],
      ['add', 'Tasse', 'updated', ['en' => 'Mug', 'de' => 'Tasse']],
      ['update', 'Tasse', 'unchanged', ['en' => 'Mug', 'de' => 'Tasse']],
      ['update', 'Humpen', 'updated', ['en' => 'Mug', 'de' => 'Humpen']],
    ];
    foreach ($steps as [$op, $title, $status, $expected]) {
      $this->assertSame([$status], $this->statuses([self::on($op, self::PRODUCT, $ref, ['title' => $title])]));
      $this->assertSame($expected, $titles());
    }
    $this->assertSame('en', $this->reloadEntity($product)->getTranslation('de')->get('content_translation_source')->value);
    $this->assertSame(array_fill(0, 3, 'update product'), $this->writes);

    $remove = self::on('remove', self::PRODUCT, $ref);
    $this->assertSame([['data' => $data, 'meta' => ['status' => 'removed']]], $this->results([$remove]));
    $this->assertSame(['en' => 'Mug'], $titles());
    $this->assertSame([['data' => $data, 'meta' => ['status' => 'absent']]], $this->results([$remove]));
    $remove['ref']['langcode'] = 'en';
    $error = self::error(422, 'Unprocessable Content', 'The original cannot be removed without its translations.', '/atomic:operations/0/ref/langcode');
    $this->assertSame([$error], $this->results([$remove]));
    $this->assertSame(['products' => 1, 'variations' => 1, 'orphans' => 0], $this->counts());
  }

  /**
   * Translations and originals of one batch keep their own values.
   */
  public function testOriginalKeepsItsValues(): void {
    $product = $this->product(['A']);
    $operations = [
      self::on('add', self::PRODUCT, ['id' => $product->uuid(), 'langcode' => 'de'], ['title' => 'Becher']),
      self::on('update', self::PRODUCT, ['id' => $product->uuid()], ['title' => 'Mug']),
      self::on('add', self::VARIATION, ['sku' => 'A', 'langcode' => 'de'], ['status' => FALSE]),
      self::on('add', self::VARIATION, ['sku' => 'NONE', 'langcode' => 'de'], ['status' => FALSE]),
      self::on('add', self::VARIATION, ['sku' => 'A', 'langcode' => 'xx'], ['status' => FALSE]),
    ];
    $this->assertSame([
      'created',
      'unchanged',
      'created',
      '404 /atomic:operations/3/ref',
      '422 /atomic:operations/4/ref/langcode',
    ], $this->statuses($operations));
    $variation = $this->variation('A');
    $this->assertSame([TRUE, FALSE, 'Mug', 'Becher'], [
      $variation->isPublished(),
      $variation->getTranslation('de')->isPublished(),
      $variation->getTitle(),
      $variation->getTranslation('de')->getTitle(),
    ]);
  }

}
