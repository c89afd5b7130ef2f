<?php

declare(strict_types=1);

namespace Drupal\commerce_waybill_operations\Entity;

use Drupal\commerce\PurchasableEntityInterface;
use Drupal\commerce_product\Entity\ProductVariationInterface;
use Drupal\commerce_waybill_operations\Document\Identifier;
use Drupal\commerce_waybill_operations\Document\Operation;
use Drupal\commerce_waybill_operations\Document\OperationNames;
use Drupal\commerce_waybill_operations\Error\ErrorObject;
use Drupal\commerce_waybill_operations\Error\Refusal;
use Drupal\Core\Access\AccessResultInterface;
use Drupal\Core\Access\AccessResultReasonInterface;
use Drupal\Core\Entity\ContentEntityInterface;
use Drupal\Core\Entity\EntityTypeManagerInterface;
use Drupal\Core\Field\FieldItemListInterface;
use Drupal\jsonapi\ResourceType\ResourceType;
use Drupal\jsonapi\ResourceType\ResourceTypeRelationship;

/**
 * Sets the fields that an operation sends, as far as they differ.
 *
 * Field access is that of core JSON:API.
 *
 * @see \Drupal\jsonapi\Controller\EntityResource::checkPatchFieldAccess()
 */
class FieldWriter {

  public function __construct(
    private readonly EntityTypeManagerInterface $entityTypeManager,
    private readonly FieldDecoder $decoder,
    private readonly FieldComparer $comparer,
    private readonly StockLevels $levels,
    private readonly OperationNames $names,
  ) {}

  /**
   * Sets what an operation sends.
   *
   * @param \Drupal\Core\Entity\ContentEntityInterface $entity
   *   The entity, or the translation that is meant.
   * @param \Drupal\jsonapi\ResourceType\ResourceType $type
   *   Its resource type.
   * @param \Drupal\commerce_waybill_operations\Document\Operation $operation
   *   The operation.
   * @param \Drupal\commerce_waybill_operations\Entity\IdentityMap $map
   *   What its references mean.
   *
   * @return \Drupal\commerce_waybill_operations\Entity\Changes
   *   What changed.
   *
   * @throws \Drupal\commerce_waybill_operations\Error\Refusal
   *   When a field is unknown, forbidden, or of another type.
   */
  public function write(ContentEntityInterface $entity, ResourceType $type, Operation $operation, IdentityMap $map): Changes {
    $changes = new Changes();
    foreach ($operation->attributes as $public => $value) {
      $at = ErrorObject::pointer('data', 'attributes', $public);
      if (!$name = $this->fieldName($entity, $type, (string) $public, $at)) {
        continue;
      }
      if ($type->getFieldByInternalName($name) instanceof ResourceTypeRelationship) {
        throw Refusal::because(422, "The following relationship fields were provided as attributes: [ $public ]", $at);
      }
      try {
        $this->set($entity, $name, $this->decoder->decode($entity->get($name), $type, $value), $changes);
      }
      catch (Refusal $refusal) {
        throw $refusal->under($at);
      }
    }
    foreach ($operation->relationships as $public => $identifiers) {
      $at = ErrorObject::pointer('data', 'relationships', $public);
      if ($name = $this->fieldName($entity, $type, (string) $public, $at)) {
        $items = $this->references($entity->get($name), $type, $identifiers, $map, $at);
        try {
          $this->set($entity, $name, $items, $changes);
        }
        catch (Refusal $refusal) {
          throw $refusal->under($at);
        }
      }
    }
    return $changes;
  }

  /**
   * Finds the field behind a public name.
   *
   * @return string|null
   *   The field's own name; NULL when what is sent for it has no effect.
   */
  private function fieldName(ContentEntityInterface $entity, ResourceType $type, string $public, string $at): ?string {
    $name = $type->getInternalName($public);
    if ($type->hasField($name) && !$type->isFieldEnabled($name)) {
      return NULL;
    }
    if (!$entity->hasField($name)) {
      throw Refusal::because(422, sprintf('The attribute %s does not exist on the %s resource type.', $public, $type->getTypeName()), $at);
    }
    return $this->isGenerated($entity, $name) ? NULL : $name;
  }

  /**
   * Whether saving sets a field again, whatever was sent for it.
   */
  private function isGenerated(ContentEntityInterface $entity, string $name): bool {
    if ($name !== 'title' || !$entity instanceof ProductVariationInterface) {
      return FALSE;
    }
    $type = $this->entityTypeManager->getStorage('commerce_product_variation_type')->load($entity->bundle());
    return (bool) $type?->shouldGenerateTitle();
  }

  /**
   * Turns identifiers into reference items.
   */
  private function references(FieldItemListInterface $field, ResourceType $type, array $identifiers, IdentityMap $map, string $at): array {
    $definition = $field->getFieldDefinition();
    $relationship = $type->getFieldByInternalName($definition->getName());
    if (!$relationship instanceof ResourceTypeRelationship) {
      throw Refusal::because(422, 'This is an attribute, not a relationship.', $at);
    }
    $items = [];
    foreach ($identifiers as $delta => $identifier) {
      $here = "$at/data" . ($relationship->hasOne() ? '' : "/$delta");
      if ($this->names->entityTypeId($identifier->type) !== $definition->getFieldStorageDefinition()->getSetting('target_type')) {
        throw Refusal::because(422, "Resources of type $identifier->type cannot be referred to here.", "$here/type");
      }
      $target = $this->target($identifier, $map, $here);
      if ($target) {
        // A product tells its new variations whose they are: what is at hand
        // need not be loaded for that.
        $variation = $target->entityTypeId === 'commerce_product_variation' ? $map->atHand($target) : NULL;
        $items[] = ['target_id' => $target->id] + ($variation ? ['entity' => $variation] : []) + $identifier->meta;
      }
    }
    return $items;
  }

  /**
   * Finds what is referred to.
   *
   * @return \Drupal\commerce_waybill_operations\Entity\Found|null
   *   Its place; NULL when it is not there and need not be.
   */
  private function target(Identifier $identifier, IdentityMap $map, string $at): ?Found {
    $found = $map->find($this->names->of($identifier));
    if (!$found && $identifier->optional) {
      return NULL;
    }
    return $found ?? throw Refusal::because(404, sprintf(
      'The resource identified by `%s` (given as a relationship item) could not be found.',
      addcslashes((string) $identifier, "\0"),
    ), $at);
  }

  /**
   * Sets one field, when that is allowed and changes something.
   */
  private function set(ContentEntityInterface $entity, string $name, array $items, Changes $changes): void {
    $changes->fields[] = $name;
    $field = $entity->get($name);
    if ($this->levels->isLevel($field)) {
      $this->setLevel($entity, $name, $items, $changes);
      return;
    }
    $received = clone $field;
    try {
      $received->setValue($items, FALSE);
      $before = $this->comparer->values($field, $items);
      $after = $this->comparer->values($received, $items);
    }
    catch (\InvalidArgumentException | \TypeError $exception) {
      throw Refusal::because(422, "$name: This value should be of the correct type.");
    }
    $differs = $before !== $after;
    $access = $field->access('edit', NULL, TRUE);
    if (!$access->isAllowed()) {
      // Whoever may see the stored value may send it back.
      $harmless = !$entity->isNew() && !$differs && $field->access('view');
      $harmless || throw $this->denied($entity, $name, $access);
      return;
    }
    if ($differs && $before && $this->isFixed($entity, $name)) {
      throw Refusal::because(422, "$name: This cannot be changed.");
    }
    $doubtful = !$differs && $items && !$after;
    if ($differs || $doubtful) {
      $entity->set($name, $items);
    }
    $changes->differ = $changes->differ || $differs;
    $changes->doubtful = $changes->doubtful || $doubtful;
  }

  /**
   * Sets a stock level, of what is sold in a store.
   *
   * A new variation is that only when its product is saved: the level follows.
   */
  private function setLevel(ContentEntityInterface $entity, string $name, array $items, Changes $changes): void {
    $access = $entity->get($name)->access('edit', NULL, TRUE);
    if (!$access->isAllowed()) {
      throw $this->denied($entity, $name, $access);
    }
    $sold = $entity instanceof PurchasableEntityInterface && !$entity->isNew() && $entity->getStores();
    $movement = $sold ? $this->levels->movement($entity, $items) : [];
    if ($movement) {
      $entity->set($name, $movement);
      $changes->differ = TRUE;
    }
  }

  /**
   * Whether a field of an existing entity says what it is or where it belongs.
   *
   * A variation that moved would stay listed at its old product.
   */
  private function isFixed(ContentEntityInterface $entity, string $name): bool {
    $fixed = [$entity->getEntityType()->getKey('bundle')];
    if ($entity instanceof ProductVariationInterface) {
      $fixed[] = 'product_id';
    }
    return !$entity->isNew() && in_array($name, $fixed, TRUE);
  }

  /**
   * Says that a field may not be written.
   */
  private function denied(ContentEntityInterface $entity, string $name, AccessResultInterface $access): Refusal {
    $reason = $access instanceof AccessResultReasonInterface ? (string) $access->getReason() : '';
    $method = $entity->isNew() ? 'POST' : 'PATCH';
    return Refusal::because(403, rtrim("The current user is not allowed to $method the selected field ($name). $reason"));
  }

}
