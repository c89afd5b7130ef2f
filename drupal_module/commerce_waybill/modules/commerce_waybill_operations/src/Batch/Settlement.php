<?php

declare(strict_types=1);

namespace Drupal\commerce_waybill_operations\Batch;

/**
 * Operations that are settled together: a product and its variations.
 */
final class Settlement {

  /**
   * Constructs a settlement.
   *
   * @param \Drupal\commerce_waybill_operations\Document\Operation[] $operations
   *   The operations, in the order in which they are carried out.
   * @param string[] $locks
   *   Names of what must not be changed by anybody else meanwhile.
   * @param \Drupal\commerce_waybill_operations\Entity\Found[] $places
   *   What is going to be needed, to be loaded at once.
   * @param bool $atomic
   *   Whether it needs a transaction: something may have to be undone.
   */
  public function __construct(
    public readonly array $operations,
    public readonly array $locks,
    public readonly array $places,
    public readonly bool $atomic,
  ) {}

}
