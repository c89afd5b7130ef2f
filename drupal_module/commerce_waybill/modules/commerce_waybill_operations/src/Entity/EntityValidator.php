<?php

declare(strict_types=1);

namespace Drupal\commerce_waybill_operations\Entity;

use Drupal\Core\Entity\ContentEntityBase;
use Drupal\Core\Entity\ContentEntityInterface;
use Drupal\Core\Entity\EntityConstraintViolationList;
use Drupal\Core\Entity\EntityConstraintViolationListInterface;
use Drupal\Core\TypedData\TypedDataManagerInterface;

/**
 * Finds the violations that core JSON:API would report.
 *
 * @see \Drupal\jsonapi\Entity\EntityValidationTrait::validate()
 */
class EntityValidator {

  public function __construct(
    private readonly TypedDataManagerInterface $typedDataManager,
  ) {}

  /**
   * Validates an entity, or what was written to it.
   *
   * @param \Drupal\Core\Entity\ContentEntityInterface $entity
   *   The entity.
   * @param string[]|null $fields
   *   The fields whose violations count; NULL for all.
   */
  public function validate(ContentEntityInterface $entity, ?array $fields): EntityConstraintViolationListInterface {
    $violations = $fields === NULL || $this->isSpecial($entity)
      ? $entity->validate()
      : $this->validateFields($entity, $fields);
    $violations->filterByFieldAccess();
    if ($fields !== NULL) {
      $violations->filterByFields(array_diff(array_keys($entity->getFieldDefinitions()), $fields));
    }
    return $violations;
  }

  /**
   * Validates the entity's own constraints and some of its fields.
   *
   * JSON:API validates all fields and drops the violations of those that were
   * not sent. Not looking for them gives the same list, in half the time:
   * each reference that is validated loads the entity once more.
   */
  private function validateFields(ContentEntityInterface $entity, array $fields): EntityConstraintViolationListInterface {
    $data = $entity->getTypedData();
    $context = $this->typedDataManager->getValidator()->startContext($data);
    $context->validate($data, $data->getConstraints());
    foreach ($fields as $field) {
      // Not as the root: the path of a violation starts with the field's name.
      $context->validate($entity->get($field), NULL, NULL, FALSE);
    }
    return new EntityConstraintViolationList($entity, iterator_to_array($context->getViolations()));
  }

  /**
   * Whether an entity wants to be validated in its own way.
   */
  private function isSpecial(ContentEntityInterface $entity): bool {
    return $entity->isValidationRequired()
      || (new \ReflectionMethod($entity, 'validate'))->class !== ContentEntityBase::class;
  }

}
