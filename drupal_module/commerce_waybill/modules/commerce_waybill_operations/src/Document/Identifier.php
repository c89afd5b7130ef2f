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
   * @param bool $optional
   *   Whether what is not there is left out of the reference.
   */
  public function __construct(
    public readonly string $type,
    public readonly string $kind,
    public readonly string $value,
    public readonly array $meta = [],
    public readonly bool $optional = FALSE,
  ) {}

  /**
   * Gives the same identifier, of something that may turn out not to be there.
   */
  public function ifThere(): self {
    return new self($this->type, $this->kind, $this->value, $this->meta, TRUE);
  }

  /**
   * Says what is named, for an error message.
   */
  public function __toString(): string {
    return "$this->type:$this->value";
  }

}
