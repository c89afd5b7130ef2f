<?php

declare(strict_types=1);

namespace Drupal\commerce_waybill_operations\Document;

/**
 * One request's operations and how they belong together.
 */
final class Batch {

  /**
   * Constructs a batch.
   *
   * @param \Drupal\commerce_waybill_operations\Document\Operation[] $operations
   *   The operations, in order.
   * @param \Drupal\commerce_waybill_operations\Document\Mode $mode
   *   Whether one failure stops the others.
   * @param string $run
   *   Which run of the middleware this is part of; empty for none.
   */
  public function __construct(
    public readonly array $operations,
    public readonly Mode $mode,
    public readonly string $run,
  ) {}

}
