<?php

declare(strict_types=1);

namespace Drupal\commerce_waybill_operations\Batch;

use Drupal\commerce_waybill_operations\Document\Identifier;
use Drupal\commerce_waybill_operations\Document\Operation;
use Drupal\commerce_waybill_operations\Document\OperationNames;
use Drupal\commerce_waybill_operations\Document\Verb;
use Drupal\commerce_waybill_operations\Entity\EntitySaver;
use Drupal\commerce_waybill_operations\Entity\FieldWriter;
use Drupal\commerce_waybill_operations\Entity\Found;
use Drupal\commerce_waybill_operations\Entity\IdentityMap;
use Drupal\commerce_waybill_operations\Entity\StockLevels;
use Drupal\commerce_waybill_operations\Error\Refusal;
use Drupal\Core\Access\AccessResultInterface;
use Drupal\Core\Access\AccessResultReasonInterface;
use Drupal\Core\Config\ConfigFactoryInterface;
use Drupal\Core\Entity\ContentEntityInterface;
use Drupal\Core\Entity\EntityTypeManagerInterface;
use Drupal\Core\Language\LanguageManagerInterface;
use Drupal\jsonapi\ResourceType\ResourceType;
use Drupal\jsonapi\ResourceType\ResourceTypeRepositoryInterface;
use Psr\Log\LoggerInterface;

/**
 * Carries out one operation.
 */
class OperationRunner {

  public function __construct(
    private readonly EntityTypeManagerInterface $entityTypeManager,
    private readonly ConfigFactoryInterface $configFactory,
    private readonly LanguageManagerInterface $languageManager,
    private readonly ResourceTypeRepositoryInterface $types,
    private readonly OperationNames $names,
    private readonly FieldWriter $writer,
    private readonly EntitySaver $saver,
    private readonly StockLevels $levels,
    private readonly LoggerInterface $logger,
  ) {}

  /**
   * Carries out an operation.
   *
   * @param \Drupal\commerce_waybill_operations\Document\Operation $operation
   *   The operation.
   * @param \Drupal\commerce_waybill_operations\Entity\IdentityMap $map
   *   The entities.
   * @param \Drupal\commerce_waybill_operations\Batch\Orphans $orphans
   *   Is told of variations that lose or find their product.
   * @param string $run
   *   Which run of the middleware this is part of.
   *
   * @throws \Drupal\commerce_waybill_operations\Error\Refusal
   *   When it is not carried out.
   * @throws \Drupal\commerce_waybill_operations\Batch\LostTransaction
   *   When the database gave up.
   */
  public function run(Operation $operation, IdentityMap $map, Orphans $orphans, string $run): Result {
    $entity = NULL;
    try {
      $type = $this->type($operation);
      $entity = $this->target($operation, $type, $map);
      return match ($operation->verb) {
        Verb::Remove => $this->remove($entity, $operation, $map, $orphans),
        Verb::Add => $entity || $operation->langcode !== NULL
          ? $this->write($entity, $type, $operation, $map, $orphans, $run)
          : $this->create($type, $operation, $map, $orphans, $run),
        Verb::Update => $this->write($entity, $type, $operation, $map, $orphans, $run),
      };
    }
    catch (Refusal $refusal) {
      throw $refusal->under($operation->pointer());
    }
    catch (\Throwable $exception) {
      throw LostTransaction::in($exception) ?? $this->unexpected($exception, $operation);
    }
    finally {
      // It may have been changed in memory only.
      if ($entity && (isset($exception) || isset($refusal))) {
        $map->forget(Found::of($entity));
      }
    }
  }

  /**
   * Gives the resource type, when operations on it are allowed here.
   */
  private function type(Operation $operation): ResourceType {
    $type = $this->types->getByTypeName($operation->type);
    if (!$type || $type->isInternal() || !$type->isMutable()) {
      throw Refusal::because(422, "There is no resource type $operation->type.", '/data/type');
    }
    $allowed = (array) $this->configFactory->get('commerce_waybill_operations.settings')->get('entity_types');
    if (!in_array($type->getEntityTypeId(), $allowed, TRUE)) {
      throw Refusal::because(403, "Operations on $operation->type are not allowed here.", '/data/type');
    }
    return $type;
  }

  /**
   * Finds the entity that an operation is for.
   */
  private function target(Operation $operation, ResourceType $type, IdentityMap $map): ?ContentEntityInterface {
    $names = $this->names->targets($operation);
    $found = array_filter(array_combine($names, array_map($map->find(...), $names)));
    $id = $operation->known(Identifier::ID);
    $disagree = count(array_unique(array_map(static fn (Found $place): string => $place->key(), $found))) > 1;
    if ($disagree || ($found && $id && !isset($found[$this->names->of($id)]))) {
      throw Refusal::because(409, 'The id and the links of this resource belong to different ones.', '/data');
    }
    $entity = $found ? $map->entity(reset($found)) : NULL;
    if ($entity && $entity->bundle() !== $type->getBundle()) {
      throw Refusal::because(409, sprintf('The resource is of type %s.', $this->types->get($entity->getEntityTypeId(), $entity->bundle())->getTypeName()), '/data/type');
    }
    if ($entity) {
      $map->name($entity, $names);
    }
    return $entity;
  }

  /**
   * Creates an entity.
   */
  private function create(ResourceType $type, Operation $operation, IdentityMap $map, Orphans $orphans, string $run): Result {
    $definition = $this->entityTypeManager->getDefinition($type->getEntityTypeId());
    $handler = $this->entityTypeManager->getAccessControlHandler($type->getEntityTypeId());
    $this->check($handler->createAccess($type->getBundle(), NULL, [], TRUE), 'create', $operation);
    $entity = $this->entityTypeManager->getStorage($type->getEntityTypeId())->create(array_filter([
      $definition->getKey('bundle') => $type->getBundle(),
      $definition->getKey('uuid') => $operation->known(Identifier::ID)?->value,
    ]));
    assert($entity instanceof ContentEntityInterface);
    $changes = $this->writer->write($entity, $type, $this->named($operation, $type), $map);
    $this->saver->save($entity, $type, $changes, $run);
    $map->created($entity, $this->names->own($operation));
    if ($entity->getEntityTypeId() === 'commerce_product_variation') {
      if ($entity->get('product_id')->isEmpty()) {
        $orphans->left($entity->id(), $operation);
        // Its product is going to save it again, and need not ask what is
        // stored: it is this.
        method_exists($entity, 'setOriginal') ? $entity->setOriginal(clone $entity) : $entity->original = clone $entity;
      }
      else {
        $this->follow([$entity->id() => $operation], $map, $run);
      }
    }
    $this->follow($orphans->listed([], $this->variations($entity), $operation), $map, $run);
    return Result::of(Result::CREATED, $operation->type, $entity->uuid());
  }

  /**
   * Writes to an entity or to one of its translations.
   */
  private function write(?ContentEntityInterface $entity, ResourceType $type, Operation $operation, IdentityMap $map, Orphans $orphans, string $run): Result {
    $entity ?? throw Refusal::because(404, 'The resource could not be found.', '/ref');
    $this->check($entity->access('update', NULL, TRUE), 'update', $operation);
    if ($entity->getEntityType()->isRevisionable() && !($entity->isLatestRevision() && $entity->isDefaultRevision())) {
      throw Refusal::because(400, 'Updating a resource object that has a working copy is not yet supported.', '/ref');
    }
    $before = $this->variations($entity);
    $translation = $this->translation($entity, $operation);
    $new = $translation->isNewTranslation();
    $changes = $this->writer->write($translation, $type, $operation, $map);
    if (!$this->saver->save($translation, $type, $changes, $run)) {
      return Result::of(Result::UNCHANGED, $operation->type, $entity->uuid());
    }
    $map->saved($entity);
    $this->follow($orphans->listed($before, $this->variations($entity), $operation), $map, $run);
    return Result::of($new ? Result::CREATED : Result::UPDATED, $operation->type, $entity->uuid());
  }

  /**
   * Sets the stock of new variations, once their product says in which store.
   *
   * @param array<int|string, \Drupal\commerce_waybill_operations\Document\Operation> $adopted
   *   The operations that made them, by variation.
   * @param \Drupal\commerce_waybill_operations\Entity\IdentityMap $map
   *   The entities.
   * @param string $run
   *   Which run of the middleware this is part of.
   */
  private function follow(array $adopted, IdentityMap $map, string $run): void {
    foreach ($adopted as $id => $operation) {
      $type = $this->type($operation);
      $names = $this->levels->fields('commerce_product_variation', $type->getBundle());
      $sent = array_intersect_key($operation->attributes, array_flip(array_map($type->getPublicName(...), $names)));
      $variation = $sent && $operation->verb === Verb::Add ? $map->entity(new Found('commerce_product_variation', $id)) : NULL;
      if ($variation) {
        $this->saver->save($variation, $type, $this->writer->write($variation, $type, $operation->with($sent, []), $map), $run);
        $map->saved($variation);
      }
    }
  }

  /**
   * Removes an entity or one of its translations.
   */
  private function remove(?ContentEntityInterface $entity, Operation $operation, IdentityMap $map, Orphans $orphans): Result {
    $langcode = $operation->langcode;
    if (!$entity || ($langcode !== NULL && !$entity->hasTranslation($langcode))) {
      return Result::of(Result::ABSENT, $operation->type, $entity?->uuid() ?? $operation->known(Identifier::ID)?->value);
    }
    $this->check($entity->access($langcode === NULL ? 'delete' : 'update', NULL, TRUE), 'remove', $operation);
    if ($langcode !== NULL) {
      if ($entity->getTranslation($langcode)->isDefaultTranslation()) {
        throw Refusal::because(422, 'The original cannot be removed without its translations.', '/ref/langcode');
      }
      $entity->removeTranslation($langcode);
      $entity->save();
      $map->saved($entity);
      return Result::of(Result::REMOVED, $operation->type, $entity->uuid());
    }
    $entity->delete();
    $map->deleted($entity);
    array_map($orphans->deleted(...), [...$this->variations($entity), $entity->id()]);
    return Result::of(Result::REMOVED, $operation->type, $entity->uuid());
  }

  /**
   * Gives the translation that is meant, for an add a new one if need be.
   */
  private function translation(ContentEntityInterface $entity, Operation $operation): ContentEntityInterface {
    $langcode = $operation->langcode;
    if ($langcode === NULL) {
      return $entity->getUntranslated();
    }
    if ($entity->hasTranslation($langcode)) {
      return $entity->getTranslation($langcode);
    }
    if ($operation->verb === Verb::Update) {
      throw Refusal::because(404, "There is no translation \"$langcode\".", '/ref/langcode');
    }
    if (!$entity->isTranslatable() || !$this->languageManager->getLanguage($langcode)) {
      throw Refusal::because(422, "A translation \"$langcode\" is not possible.", '/ref/langcode');
    }
    // As on the translation form: what is not sent is taken from the original.
    $translation = $entity->addTranslation($langcode, $entity->getUntranslated()->toArray());
    if ($translation->hasField('content_translation_source')) {
      $translation->set('content_translation_source', $entity->getUntranslated()->language()->getId());
    }
    return $translation;
  }

  /**
   * Lets a new entity have the SKU or link that the operation names it by.
   */
  private function named(Operation $operation, ResourceType $type): Operation {
    $attributes = $operation->attributes;
    if ($sku = $operation->known(Identifier::SKU)) {
      $attributes += [$type->getPublicName('sku') => $sku->value];
    }
    if ($link = $operation->known(Identifier::LINK)) {
      $links = [...$this->names->links($operation), $link->value];
      $attributes[$type->getPublicName('waybill_links')] = array_values(array_unique($links));
    }
    return $operation->with($attributes, $operation->relationships);
  }

  /**
   * Lists the variations of a product.
   *
   * @return array<int|string>
   *   Their ids; nothing for anything else.
   */
  private function variations(ContentEntityInterface $entity): array {
    return $entity->getEntityTypeId() === 'commerce_product'
      ? array_column($entity->get('variations')->getValue(), 'target_id')
      : [];
  }

  /**
   * Refuses an operation that access is denied to.
   */
  private function check(AccessResultInterface $access, string $what, Operation $operation): void {
    if (!$access->isAllowed()) {
      $reason = $access instanceof AccessResultReasonInterface ? (string) $access->getReason() : '';
      throw Refusal::because(403, rtrim("The current user is not allowed to $what this $operation->type. $reason"));
    }
  }

  /**
   * Writes down what nobody expected, and says that it happened.
   */
  private function unexpected(\Throwable $exception, Operation $operation): Refusal {
    $this->logger->error('An operation on @type failed: @class: @message', [
      '@type' => $operation->type,
      '@class' => $exception::class,
      '@message' => $exception->getMessage(),
      'exception' => $exception,
    ]);
    return Refusal::because(500, 'The site failed to carry this out; its log says why.', $operation->pointer());
  }

}
