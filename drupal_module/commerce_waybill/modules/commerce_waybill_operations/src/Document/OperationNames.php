<?php

declare(strict_types=1);

namespace Drupal\commerce_waybill_operations\Document;

use Drupal\jsonapi\ResourceType\ResourceTypeRepositoryInterface;

/**
 * Tells by which names an operation speaks of entities.
 *
 * A name is "entity type:kind:value"; two operations with one name speak of
 * one entity.
 */
class OperationNames {

  public function __construct(
    private readonly ResourceTypeRepositoryInterface $types,
  ) {}

  /**
   * Gives the entity type of a resource type, or an empty string.
   */
  public function entityTypeId(string $type): string {
    return (string) $this->types->getByTypeName($type)?->getEntityTypeId();
  }

  /**
   * Gives the name that an identifier is.
   */
  public function of(Identifier $identifier): string {
    return $this->entityTypeId($identifier->type) . ":$identifier->kind:$identifier->value";
  }

  /**
   * Lists the names by which an existing entity is looked for.
   *
   * @return string[]
   *   Names of the identifiers, and for an add of the links in its data.
   */
  public function targets(Operation $operation): array {
    $names = array_map($this->of(...), $operation->identifiers);
    if ($operation->verb === Verb::Add) {
      foreach ($this->links($operation) as $link) {
        $names[] = $this->of(new Identifier($operation->type, Identifier::LINK, $link));
      }
    }
    return array_values(array_unique($names));
  }

  /**
   * Lists all names that speak of the operation's own entity.
   *
   * @return string[]
   *   The targets, and for an add its SKU.
   */
  public function own(Operation $operation): array {
    $names = $this->targets($operation);
    $sku = $operation->verb === Verb::Add ? $operation->attributes['sku'] ?? NULL : NULL;
    if (is_string($sku) && $this->entityTypeId($operation->type) === 'commerce_product_variation') {
      $names[] = $this->of(new Identifier($operation->type, Identifier::SKU, $sku));
    }
    return array_values(array_unique($names));
  }

  /**
   * Lists the names of what the operation refers to.
   *
   * @return string[]
   *   Names of everything in its relationships.
   */
  public function referred(Operation $operation): array {
    return array_map($this->of(...), array_merge(...array_values($operation->relationships)));
  }

  /**
   * Lists the names of the products or variations that it belongs with.
   *
   * @return string[]
   *   For a product its variations, for a variation its product.
   */
  public function relatives(Operation $operation): array {
    return array_map($this->of(...), $operation->relationships[$this->familyField($operation)] ?? []);
  }

  /**
   * Gives the public name of the field that holds a family together.
   *
   * @return string|null
   *   Of a product the one with its variations, of a variation the one with its
   *   product, NULL for anything else.
   */
  public function familyField(Operation $operation): ?string {
    $type = $this->types->getByTypeName($operation->type);
    return match ($type?->getEntityTypeId()) {
      'commerce_product' => $type->getPublicName('variations'),
      'commerce_product_variation' => $type->getPublicName('product_id'),
      default => NULL,
    };
  }

  /**
   * Lists the links in an operation's data.
   *
   * @return string[]
   *   Links as "connection:id".
   */
  public function links(Operation $operation): array {
    $public = $this->types->getByTypeName($operation->type)?->getPublicName('waybill_links');
    $value = $operation->attributes[$public] ?? [];
    $items = is_array($value) && array_is_list($value) ? $value : [$value];
    $links = array_map(static fn (mixed $item): mixed => is_array($item) ? $item['value'] ?? NULL : $item, $items);
    return array_values(array_filter($links, static fn (mixed $link): bool => is_string($link) && $link !== ''));
  }

}
