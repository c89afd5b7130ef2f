<?php

declare(strict_types=1);

namespace Drupal\commerce_waybill_operations\Entity;

use Drupal\commerce_price\Calculator;
use Drupal\Core\Field\FieldItemListInterface;

/**
 * Brings field values into a form in which equal means equal when stored.
 *
 * FieldItemList::equals() cannot be used: it takes the SKU "007" for "7".
 */
class FieldComparer {

  /**
   * Gives the values of a field as the database would keep them.
   *
   * @param \Drupal\Core\Field\FieldItemListInterface $field
   *   The field.
   * @param array $sent
   *   The items that are compared with; a field without columns of its own,
   *   such as a path alias, is compared by what was sent only.
   *
   * @return array<int, array<string, mixed>>
   *   Values of the items that are not empty.
   */
  public function values(FieldItemListInterface $field, array $sent): array {
    $definition = $field->getFieldDefinition()->getFieldStorageDefinition();
    $columns = $definition->getSchema()['columns'] ?? [];
    $columns = $columns ?: array_fill_keys(array_keys(array_merge(...$sent ?: $field->getValue())), ['type' => 'varchar']);
    $virtual = in_array($definition->getSetting('target_type'), [NULL, 'user'], TRUE) ? NULL : ['target_id' => '0'];
    $values = [];
    foreach ($field as $item) {
      $value = $item->isEmpty() ? [] : $this->item($item->getValue(), $columns);
      // Nobody but the anonymous user has the id 0: it is no reference.
      if ($value && $value !== $virtual) {
        $values[] = $value;
      }
    }
    return $values;
  }

  /**
   * Normalises one item.
   */
  private function item(array $value, array $columns): array {
    $result = [];
    foreach ($columns as $name => $column) {
      if (isset($value[$name])) {
        $result[$name] = $this->column($value[$name], $column);
      }
    }
    return $result;
  }

  /**
   * Normalises one value by the type of its column.
   */
  private function column(mixed $value, array $column): mixed {
    if (is_bool($value)) {
      return $value ? '1' : '0';
    }
    if (!is_scalar($value) && !$value instanceof \Stringable) {
      return $value;
    }
    $value = (string) $value;
    if (!is_numeric($value)) {
      return $value;
    }
    return match ($column['type']) {
      'int', 'serial' => preg_match('/^-?\d+$/D', $value) ? (string) (int) $value : $value,
      'numeric' => preg_match('/^-?\d+(\.\d+)?$/D', $value) ? Calculator::trim(Calculator::round($value, $column['scale'] ?? 0)) : $value,
      // What a single-precision column keeps.
      'float' => sprintf('%.6e', (float) $value),
      default => $value,
    };
  }

}
