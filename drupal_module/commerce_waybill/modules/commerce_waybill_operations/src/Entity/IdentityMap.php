<?php

declare(strict_types=1);

namespace Drupal\commerce_waybill_operations\Entity;

use Drupal\Core\Entity\ContentEntityInterface;
use Drupal\Core\Entity\EntityTypeManagerInterface;

/**
 * The entities that a chunk of operations works on, each loaded once.
 *
 * It is made while the locks are held, so what it loads stays true until they
 * are released.
 */
final class IdentityMap {

  /**
   * Loaded entities by key.
   *
   * @var array<string, \Drupal\Core\Entity\ContentEntityInterface|null>
   */
  private array $entities = [];

  /**
   * What was written since the last commit, for a rollback.
   *
   * @var array<string, \Drupal\commerce_waybill_operations\Entity\Found>
   */
  private array $touched = [];

  /**
   * Names that operations of this batch gave.
   *
   * @var array<string, \Drupal\commerce_waybill_operations\Entity\Found>
   */
  private array $given = [];

  /**
   * Constructs an identity map.
   *
   * @param \Drupal\Core\Entity\EntityTypeManagerInterface $entityTypeManager
   *   The entity type manager.
   * @param array<string, \Drupal\commerce_waybill_operations\Entity\Found> $found
   *   What exists, by name.
   */
  public function __construct(
    private readonly EntityTypeManagerInterface $entityTypeManager,
    private array $found,
  ) {}

  /**
   * Finds what a name means now.
   */
  public function find(string $name): ?Found {
    return $this->given[$name] ?? $this->found[$name] ?? NULL;
  }

  /**
   * Loads many entities past all caches: another batch may just have written.
   *
   * @param \Drupal\commerce_waybill_operations\Entity\Found[] $places
   *   Where they are.
   */
  public function preload(array $places): void {
    $ids = [];
    foreach ($places as $place) {
      $ids[$place->entityTypeId][$place->id] = $place->id;
    }
    foreach ($ids as $entity_type_id => $wanted) {
      $storage = $this->entityTypeManager->getStorage($entity_type_id);
      $storage->resetCache($wanted);
      $loaded = $storage->loadMultiple($wanted);
      foreach ($wanted as $id) {
        $this->entities["$entity_type_id:$id"] = $loaded[$id] ?? NULL;
      }
    }
  }

  /**
   * Gets an entity, or NULL when it is gone.
   */
  public function entity(Found $place): ?ContentEntityInterface {
    if (!array_key_exists($place->key(), $this->entities)) {
      $this->preload([$place]);
    }
    return $this->entities[$place->key()];
  }

  /**
   * Gets an entity if it is at hand, without loading it.
   */
  public function atHand(Found $place): ?ContentEntityInterface {
    return $this->entities[$place->key()] ?? NULL;
  }

  /**
   * Lets names mean an entity, for the rest of the batch.
   *
   * @param \Drupal\Core\Entity\ContentEntityInterface $entity
   *   The entity.
   * @param string[] $names
   *   The names.
   */
  public function name(ContentEntityInterface $entity, array $names): void {
    $this->given = array_fill_keys($names, Found::of($entity)) + $this->given;
  }

  /**
   * Takes note of an entity that was created under some names.
   *
   * @param \Drupal\Core\Entity\ContentEntityInterface $entity
   *   The new entity.
   * @param string[] $names
   *   The names of the operation that created it.
   */
  public function created(ContentEntityInterface $entity, array $names): void {
    $place = Found::of($entity);
    $this->name($entity, $names);
    $this->entities[$place->key()] = $entity;
    $this->saved($entity);
    $this->forgetProduct($place);
  }

  /**
   * Takes note of an entity that was saved.
   */
  public function saved(ContentEntityInterface $entity): void {
    $this->touched[Found::of($entity)->key()] = Found::of($entity);
    if ($entity->getEntityTypeId() === 'commerce_product') {
      array_map($this->forgetAdopted(...), array_column($entity->get('variations')->getValue(), 'target_id'));
    }
  }

  /**
   * Takes note of an entity that was deleted.
   */
  public function deleted(ContentEntityInterface $entity): void {
    $place = Found::of($entity);
    $this->saved($entity);
    $gone = [$place->key() => NULL];
    if ($place->entityTypeId === 'commerce_product') {
      foreach ($entity->get('variations') as $item) {
        $gone["commerce_product_variation:$item->target_id"] = NULL;
      }
    }
    $this->entities = $gone + $this->entities;
    $stays = static fn (Found $found): bool => !array_key_exists($found->key(), $gone);
    $this->given = array_filter($this->given, $stays);
    $this->found = array_filter($this->found, $stays);
    $this->forgetProduct($place);
  }

  /**
   * Drops an entity whose values in memory are not what is stored.
   */
  public function forget(Found $place): void {
    unset($this->entities[$place->key()]);
    $this->entityTypeManager->getStorage($place->entityTypeId)->resetCache([$place->id]);
  }

  /**
   * Remembers what names mean, before something that may be rolled back.
   */
  public function checkpoint(): self {
    $this->touched = [];
    return clone $this;
  }

  /**
   * Goes back to what is stored, after a rollback.
   */
  public function revert(self $before): void {
    array_map($this->forget(...), $this->touched);
    $this->touched = $this->entities = [];
    $this->given = $before->given;
    $this->found = $before->found;
  }

  /**
   * Gives the names that were given here, for the next chunk.
   *
   * @return array<string, \Drupal\commerce_waybill_operations\Entity\Found>
   *   Places by name.
   */
  public function given(): array {
    return $this->given;
  }

  /**
   * Drops a variation that its new product has told whose it is.
   */
  private function forgetAdopted(int|string $id): void {
    $variation = $this->entities["commerce_product_variation:$id"] ?? NULL;
    if ($variation?->get('product_id')->isEmpty()) {
      unset($this->entities["commerce_product_variation:$id"]);
    }
  }

  /**
   * Drops the product of a variation, whose list of variations changed.
   */
  private function forgetProduct(Found $variation): void {
    if ($variation->productId !== NULL) {
      $place = new Found('commerce_product', $variation->productId);
      $this->touched[$place->key()] = $place;
      unset($this->entities[$place->key()]);
    }
  }

}
