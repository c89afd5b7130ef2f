<?php

declare(strict_types=1);

namespace Drupal\commerce_waybill_operations\Entity;

use Drupal\Core\Entity\ContentEntityInterface;

/**
 * Where an entity is, without loading it.
 */
final class Found {

  /**
   * Constructs the place of an entity.
   *
   * @param string $entityTypeId
   *   Its entity type.
   * @param int|string $id
   *   Its id there.
   * @param int|null $productId
   *   The product that a variation belongs to.
   */
  public function __construct(
    public readonly string $entityTypeId,
    public readonly int|string $id,
    public readonly ?int $productId = NULL,
  ) {}

  /**
   * Gives the place of an entity that is at hand.
   */
  public static function of(ContentEntityInterface $entity): self {
    $product = $entity->getEntityTypeId() === 'commerce_product_variation' ? $entity->get('product_id')->target_id : NULL;
    return new self($entity->getEntityTypeId(), $entity->id(), $product === NULL ? NULL : (int) $product);
  }

  /**
   * Gives a key for the entity.
   */
  public function key(): string {
    return "$this->entityTypeId:$this->id";
  }

  /**
   * Gives the key of what is changed together: a product and its variations.
   */
  public function family(): string {
    return $this->productId === NULL ? $this->key() : "commerce_product:$this->productId";
  }

}
