<?php

declare(strict_types=1);

namespace Drupal\Tests\commerce_waybill_operations\Kernel;

use Drupal\commerce_product\Entity\ProductVariationInterface;
use Drupal\commerce_waybill_operations\Entity\EntityValidator;
use Drupal\Core\Entity\EntityConstraintViolationListInterface;

/**
 * Tests that validating what was sent finds what JSON:API would report.
 *
 * @group commerce_waybill
 */
class EntityValidatorTest extends OperationsTestBase {

  /**
   * The shorter way and JSON:API's way give the same violations.
   */
  public function testFindsWhatJsonApiReports(): void {
    $this->product(['A', 'B']);
    $wrong = [
      'price' => ['number' => 'abc', 'currency_code' => 'XXX'],
      'field_stock' => [['value' => 'many'], ['value' => 2]],
      'sku' => 'B',
      'product_id' => 4711,
      'waybill_run' => str_repeat('x', 200),
    ];
    $sets = [array_keys($wrong), ['price'], ['sku', 'field_stock'], ['product_id'], ['status'], []];
    foreach ($sets as $fields) {
      $found = $this->container->get(EntityValidator::class)->validate($this->spoiled($wrong), $fields);
      $entity = $this->spoiled($wrong);
      $expected = $entity->validate();
      $expected->filterByFieldAccess();
      $expected->filterByFields(array_diff(array_keys($entity->getFieldDefinitions()), $fields));
      $this->assertEqualsCanonicalizing(self::said($expected), self::said($found));
    }
    $all = $this->container->get(EntityValidator::class)->validate($this->spoiled($wrong), array_keys($wrong));
    $this->assertSame([
      '',
      'field_stock',
      'field_stock.0.value',
      'price.0.currency_code',
      'price.0.number',
      'product_id.0.target_id',
      'sku',
      'waybill_run.0.value',
    ], self::paths($all));
  }

  /**
   * Gives a variation with wrong values that somebody else saved meanwhile.
   */
  private function spoiled(array $wrong): ProductVariationInterface {
    $variation = $this->variation('A');
    foreach ($wrong as $field => $value) {
      $variation->set($field, $value);
    }
    return $variation->setChangedTime(1);
  }

  /**
   * Lists violations.
   */
  private static function said(EntityConstraintViolationListInterface $violations): array {
    return array_map(
      static fn ($violation): array => [$violation->getPropertyPath(), (string) $violation->getMessage()],
      iterator_to_array($violations),
    );
  }

  /**
   * Lists where violations are.
   */
  private static function paths(EntityConstraintViolationListInterface $violations): array {
    $paths = array_unique(array_column(self::said($violations), 0));
    sort($paths);
    return $paths;
  }

}
