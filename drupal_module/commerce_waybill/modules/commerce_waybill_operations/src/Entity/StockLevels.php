<?php

declare(strict_types=1);

namespace Drupal\commerce_waybill_operations\Entity;

use Drupal\commerce\PurchasableEntityInterface;
use Drupal\commerce_price\Calculator;
use Drupal\commerce_stock\StockServiceManagerInterface;
use Drupal\commerce_waybill_operations\Error\Refusal;
use Drupal\Core\Entity\EntityFieldManagerInterface;
use Drupal\Core\Field\FieldItemListInterface;

/**
 * Brings the stock of a variation to a level, where the site has Commerce Stock.
 *
 * A field of the type commerce_stock_level holds no level: what is set in it is
 * the movement that its next save makes. So a level is set as the difference to
 * the one that is there.
 *
 * @see \Drupal\commerce_stock_field\Plugin\Field\FieldType\StockLevel
 */
class StockLevels {

  private const TYPE = 'commerce_stock_level';

  public function __construct(
    private readonly EntityFieldManagerInterface $entityFieldManager,
    private readonly ?StockServiceManagerInterface $stock = NULL,
  ) {}

  /**
   * Whether a field is one for stock levels.
   */
  public function isLevel(FieldItemListInterface $field): bool {
    return $this->stock && $field->getFieldDefinition()->getType() === self::TYPE;
  }

  /**
   * Lists the names of a bundle's fields for stock levels.
   *
   * @return string[]
   *   The names; mostly none.
   */
  public function fields(string $entity_type_id, string $bundle): array {
    $fields = $this->stock ? $this->entityFieldManager->getFieldDefinitions($entity_type_id, $bundle) : [];
    return array_keys(array_filter($fields, static fn ($one): bool => $one->getType() === self::TYPE));
  }

  /**
   * Turns the level that is wanted into the movement that leads there.
   *
   * @param \Drupal\commerce\PurchasableEntityInterface $entity
   *   What is in stock: it is stored, and sold in a store.
   * @param array $items
   *   The items that were sent.
   *
   * @return array
   *   The items to set, none when the level is right.
   */
  public function movement(PurchasableEntityInterface $entity, array $items): array {
    $wanted = $items[0]['value'] ?? NULL;
    if ($wanted === NULL) {
      return [];
    }
    if (!is_numeric($wanted)) {
      throw Refusal::because(422, 'A stock level is a number.');
    }
    $difference = Calculator::subtract(self::exact($wanted), self::exact($this->stock->getStockLevel($entity)));
    return Calculator::compare($difference, '0') === 0
      ? []
      : [['value' => (float) $wanted, 'adjustment' => (float) $difference, 'stock_transaction_note' => 'Waybill']];
  }

  /**
   * Writes a number without an exponent.
   */
  private static function exact(mixed $number): string {
    return number_format((float) $number, 4, '.', '');
  }

}
