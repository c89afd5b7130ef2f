<?php

declare(strict_types=1);

namespace Drupal\commerce_waybill_operations\Entity;

use Drupal\commerce_waybill_operations\Document\Identifier;
use Drupal\Core\Entity\ContentEntityTypeInterface;
use Drupal\Core\Entity\EntityFieldManagerInterface;
use Drupal\Core\Entity\EntityTypeInterface;
use Drupal\Core\Entity\EntityTypeManagerInterface;

/**
 * Finds entities by the names of a batch: one query per kind of name.
 */
class EntityFinder {

  public function __construct(
    private readonly EntityTypeManagerInterface $entityTypeManager,
    private readonly EntityFieldManagerInterface $entityFieldManager,
  ) {}

  /**
   * Finds what names mean.
   *
   * @param string[] $names
   *   Names as "entity type:kind:value".
   *
   * @return array<string, \Drupal\commerce_waybill_operations\Entity\Found>
   *   What exists, by name. Access is the caller's business.
   */
  public function find(array $names): array {
    $wanted = [];
    foreach ($names as $name) {
      [$entity_type_id, $kind, $value] = explode(':', $name, 3);
      $wanted[$entity_type_id][$kind][$value] = $name;
    }
    $found = [];
    foreach ($wanted as $entity_type_id => $kinds) {
      $type = $this->entityTypeManager->getDefinition($entity_type_id, FALSE);
      foreach ($type ? $kinds : [] as $kind => $values) {
        $found += $this->query($type, $kind, $values);
      }
    }
    return $found;
  }

  /**
   * Finds entities of one type by one kind of name.
   *
   * @param \Drupal\Core\Entity\EntityTypeInterface $type
   *   The entity type.
   * @param string $kind
   *   One of the kinds of identifiers.
   * @param array<string, string> $values
   *   Names by value.
   *
   * @return array<string, \Drupal\commerce_waybill_operations\Entity\Found>
   *   What exists, by name.
   */
  private function query(EntityTypeInterface $type, string $kind, array $values): array {
    $field = match ($kind) {
      Identifier::ID => $type->getKey('uuid'),
      Identifier::LINK => 'waybill_links',
      Identifier::SKU => 'sku',
      default => NULL,
    };
    if (!$field) {
      return [];
    }
    $search = array_map('strval', array_keys($values));
    $rows = $type instanceof ContentEntityTypeInterface
      ? $this->rows($type, $field, $search)
      : $this->configRows($type, $field, $search);
    $found = [];
    foreach ($rows as [$value, $id, $product]) {
      // Databases compare without case, ids of other systems do not.
      if (isset($values[$value])) {
        $found[$values[$value]] = new Found($type->id(), $id, $product === NULL ? NULL : (int) $product);
      }
    }
    return $found;
  }

  /**
   * Looks for content entities.
   *
   * @return array[]
   *   Rows of value, id and the product's id of a variation.
   */
  private function rows(ContentEntityTypeInterface $type, string $field, array $values): array {
    if (!isset($this->entityFieldManager->getFieldStorageDefinitions($type->id())[$field])) {
      return [];
    }
    $id = $type->getKey('id');
    $query = $this->entityTypeManager->getStorage($type->id())->getAggregateQuery()
      ->accessCheck(FALSE)
      ->condition($field, $values, 'IN')
      ->groupBy($field)
      ->groupBy($id);
    if ($type->id() === 'commerce_product_variation') {
      $query->groupBy('product_id');
    }
    return array_map(
      static fn (array $row): array => [$row[$field] ?? $row["{$field}_value"], $row[$id], $row['product_id'] ?? NULL],
      $query->execute(),
    );
  }

  /**
   * Looks for configuration entities, which have no aggregates.
   *
   * @return array[]
   *   Rows of value, id and NULL.
   */
  private function configRows(EntityTypeInterface $type, string $field, array $values): array {
    if ($field !== $type->getKey('uuid')) {
      return [];
    }
    $entities = $this->entityTypeManager->getStorage($type->id())->loadByProperties([$field => $values]);
    return array_map(static fn ($entity): array => [$entity->uuid(), $entity->id(), NULL], array_values($entities));
  }

}
