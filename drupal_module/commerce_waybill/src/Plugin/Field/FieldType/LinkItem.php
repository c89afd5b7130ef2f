<?php

declare(strict_types=1);

namespace Drupal\commerce_waybill\Plugin\Field\FieldType;

use Drupal\Core\Field\FieldStorageDefinitionInterface;
use Drupal\Core\Field\Plugin\Field\FieldType\StringItem;

/**
 * An id in another system, as "connection:id".
 *
 * A string with an index: things are found by it, among a hundred thousand.
 *
 * @FieldType(
 *   id = "commerce_waybill_link",
 *   label = @Translation("Waybill link"),
 *   description = @Translation("The id of this thing in another system."),
 *   default_widget = "string_textfield",
 *   default_formatter = "string",
 *   no_ui = TRUE,
 * )
 */
class LinkItem extends StringItem {

  /**
   * {@inheritdoc}
   */
  public static function schema(FieldStorageDefinitionInterface $field_definition): array {
    return ['indexes' => ['value' => ['value']]] + parent::schema($field_definition);
  }

}
