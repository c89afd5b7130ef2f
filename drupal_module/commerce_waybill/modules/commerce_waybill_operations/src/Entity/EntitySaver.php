<?php

declare(strict_types=1);

namespace Drupal\commerce_waybill_operations\Entity;

use Drupal\commerce_waybill_operations\Error\ErrorObject;
use Drupal\commerce_waybill_operations\Error\Refusal;
use Drupal\Component\Datetime\TimeInterface;
use Drupal\Component\Render\PlainTextOutput;
use Drupal\Core\Entity\ContentEntityInterface;
use Drupal\Core\Entity\EntityConstraintViolationListInterface;
use Drupal\Core\Entity\EntityTypeManagerInterface;
use Drupal\Core\Entity\Plugin\Validation\Constraint\EntityChangedConstraint;
use Drupal\Core\Entity\RevisionableEntityBundleInterface;
use Drupal\Core\Entity\RevisionLogInterface;
use Drupal\Core\Session\AccountInterface;
use Drupal\jsonapi\ResourceType\ResourceType;
use Drupal\jsonapi\ResourceType\ResourceTypeRelationship;

/**
 * Validates and saves an entity as core JSON:API does, with its lineage.
 *
 * @see \Drupal\jsonapi\Controller\EntityResource::patchIndividual()
 */
class EntitySaver {

  public function __construct(
    private readonly EntityTypeManagerInterface $entityTypeManager,
    private readonly EntityValidator $validator,
    private readonly AccountInterface $currentUser,
    private readonly TimeInterface $time,
  ) {}

  /**
   * Validates an entity, and saves it when it is new or differs.
   *
   * @param \Drupal\Core\Entity\ContentEntityInterface $entity
   *   The entity, or the translation that was written to.
   * @param \Drupal\jsonapi\ResourceType\ResourceType $type
   *   Its resource type.
   * @param \Drupal\commerce_waybill_operations\Entity\Changes $changes
   *   What was written.
   * @param string $run
   *   Which run of the middleware this is part of; empty for none.
   *
   * @return bool
   *   Whether it was saved.
   *
   * @throws \Drupal\commerce_waybill_operations\Error\Refusal
   *   When it is not valid.
   */
  public function save(ContentEntityInterface $entity, ResourceType $type, Changes $changes, string $run): bool {
    $new = $entity->isNew() || $entity->isNewTranslation();
    $save = $new || $changes->differ;
    if ($save) {
      $this->stamp($entity, $run);
    }
    if ($save || $changes->doubtful) {
      $this->validate($entity, $type, $new ? $this->ofNew($entity, $changes) : $changes->fields);
    }
    if ($save) {
      $this->prepareRevision($entity);
      $entity->save();
    }
    return $save;
  }

  /**
   * Lists the fields of something new that are validated.
   *
   * To validate the others costs much and finds nothing.
   *
   * @return string[]
   *   All but what nobody can set, and but an owner that was not sent: that is
   *   the account which is asking.
   */
  private function ofNew(ContentEntityInterface $entity, Changes $changes): array {
    $owner = $entity->getEntityType()->getKey('owner') ?: 'uid';
    $set = array_filter($entity->getFieldDefinitions(), static fn ($one): bool => !($one->isComputed() && $one->isReadOnly()));
    return array_diff(array_keys($set), array_diff([$owner], $changes->fields));
  }

  /**
   * Validates an entity, or some of its fields.
   */
  private function validate(ContentEntityInterface $entity, ResourceType $type, ?array $fields): void {
    $violations = $this->validator->validate($entity, $fields);
    if (count($violations)) {
      throw new Refusal($this->errors($violations, $entity, $type));
    }
  }

  /**
   * Turns violations into error objects.
   *
   * @return \Drupal\commerce_waybill_operations\Error\ErrorObject[]
   *   Errors with pointers that start at the operation.
   */
  private function errors(EntityConstraintViolationListInterface $violations, ContentEntityInterface $entity, ResourceType $type): array {
    $errors = [];
    foreach ($violations->getEntityViolations() as $violation) {
      // Somebody saved the entity in a form a moment ago; the next attempt
      // starts from that.
      $conflict = $violation->getConstraint() instanceof EntityChangedConstraint;
      $detail = 'Entity is not valid: ' . PlainTextOutput::renderFromHtml($violation->getMessage());
      $errors[] = new ErrorObject($conflict ? 409 : 422, $detail, '/data', $conflict ? ['retryable' => TRUE] : []);
    }
    foreach ($violations->getFieldNames() as $name) {
      foreach ($violations->getByField($name) as $violation) {
        $detail = $violation->getPropertyPath() . ': ' . PlainTextOutput::renderFromHtml($violation->getMessage());
        $errors[] = new ErrorObject(422, $detail, $this->pointer($violation->getPropertyPath(), $entity, $type));
      }
    }
    return $errors;
  }

  /**
   * Turns a property path such as price.0.currency_code into a pointer.
   */
  private function pointer(string $path, ContentEntityInterface $entity, ResourceType $type): string {
    $parts = explode('.', $path);
    $name = array_shift($parts);
    $single = $entity->get($name)->getFieldDefinition()->getFieldStorageDefinition()->getCardinality() === 1;
    if ($single && $parts) {
      array_shift($parts);
    }
    $public = $type->getPublicName($name);
    if (!$type->getFieldByInternalName($name) instanceof ResourceTypeRelationship) {
      return ErrorObject::pointer('data', 'attributes', $public, ...$parts);
    }
    return ErrorObject::pointer('data', 'relationships', $public, ...$single || !$parts ? [] : ['data', $parts[0]]);
  }

  /**
   * Writes down when and in which run the middleware changed something.
   */
  private function stamp(ContentEntityInterface $entity, string $run): void {
    if ($entity->hasField('waybill_synced')) {
      $entity->set('waybill_synced', $this->time->getCurrentTime());
      $entity->set('waybill_run', $run === '' ? NULL : $run);
    }
  }

  /**
   * Starts a new revision where the bundle wants one.
   */
  private function prepareRevision(ContentEntityInterface $entity): void {
    $bundle_type = $entity->getEntityType()->isRevisionable() ? $entity->getEntityType()->getBundleEntityType() : NULL;
    if ($entity->isNew() || !$bundle_type) {
      return;
    }
    $bundle = $this->entityTypeManager->getStorage($bundle_type)->load($entity->bundle());
    if ($bundle instanceof RevisionableEntityBundleInterface) {
      $entity->setNewRevision($bundle->shouldCreateNewRevision());
    }
    if ($entity instanceof RevisionLogInterface && $entity->isNewRevision()) {
      $entity->setRevisionUserId($this->currentUser->id());
      $entity->setRevisionCreationTime($this->time->getRequestTime());
    }
  }

}
