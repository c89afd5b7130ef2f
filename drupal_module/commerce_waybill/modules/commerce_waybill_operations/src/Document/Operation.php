<?php

declare(strict_types=1);

namespace Drupal\commerce_waybill_operations\Document;

/**
 * One operation of a batch, as it was sent.
 */
final class Operation {

  /**
   * Constructs an operation.
   *
   * @param int $index
   *   Its place in the document.
   * @param \Drupal\commerce_waybill_operations\Document\Verb $verb
   *   What to do.
   * @param string $type
   *   The JSON:API resource type.
   * @param \Drupal\commerce_waybill_operations\Document\Identifier[] $identifiers
   *   What the resource is known by; nothing for an add without any.
   * @param string|null $langcode
   *   The translation that is meant; NULL for the original.
   * @param array<string, mixed> $attributes
   *   Values by public field name.
   * @param array<string, \Drupal\commerce_waybill_operations\Document\Identifier[]> $relationships
   *   What is referred to, by public field name.
   */
  public function __construct(
    public readonly int $index,
    public readonly Verb $verb,
    public readonly string $type,
    public readonly array $identifiers,
    public readonly ?string $langcode = NULL,
    public readonly array $attributes = [],
    public readonly array $relationships = [],
  ) {}

  /**
   * Gives the same operation with other data.
   *
   * @param array<string, mixed> $attributes
   *   All attributes, by public field name.
   * @param array<string, \Drupal\commerce_waybill_operations\Document\Identifier[]> $relationships
   *   All relationships, by public field name.
   */
  public function with(array $attributes, array $relationships): self {
    return new self($this->index, $this->verb, $this->type, $this->identifiers, $this->langcode, $attributes, $relationships);
  }

  /**
   * Gives what the resource is known by, in one way.
   *
   * @param string $kind
   *   One of the kinds of identifiers.
   */
  public function known(string $kind): ?Identifier {
    return array_column($this->identifiers, NULL, 'kind')[$kind] ?? NULL;
  }

  /**
   * Gives the operation's place in the document as a JSON pointer.
   */
  public function pointer(): string {
    return "/atomic:operations/$this->index";
  }

}
