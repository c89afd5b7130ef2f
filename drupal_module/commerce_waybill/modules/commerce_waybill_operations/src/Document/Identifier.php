<?php

declare(strict_types=1);

namespace Drupal\commerce_waybill_operations\Document;

/**
 * Names one resource: by its id, a local id, a link or an SKU.
 */
final class Identifier {

  public const ID = 'id';
  public const LID = 'lid';
  public const LINK = 'link';
  public const SKU = 'sku';

  /**
   * Constructs an identifier.
   *
   * @param string $type
   *   The JSON:API resource type.
   * @param string $kind
   *   Which of the four the value is.
   * @param string $value
   *   The value.
   * @param array<string, mixed> $meta
   *   Properties of the reference itself, such as an image's alternative text.
   */
  public function __construct(
    public readonly string $type,
    public readonly string $kind,
    public readonly string $value,
    public readonly array $meta = [],
  ) {}

  /**
   * Says what is named, for an error message.
   */
  public function __toString(): string {
    return "$this->type:$this->value";
  }

}
