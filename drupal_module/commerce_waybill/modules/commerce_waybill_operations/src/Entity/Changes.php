<?php

declare(strict_types=1);

namespace Drupal\commerce_waybill_operations\Entity;

/**
 * What the writing of an operation's fields did to an entity in memory.
 */
final class Changes {

  /**
   * Constructs changes.
   *
   * @param string[] $fields
   *   The fields that were sent.
   * @param bool $differ
   *   Whether something is different from what is stored.
   * @param bool $doubtful
   *   Whether something was sent that would be stored as nothing, so that only
   *   validation can say whether it was meant.
   */
  public function __construct(
    public array $fields = [],
    public bool $differ = FALSE,
    public bool $doubtful = FALSE,
  ) {}

}
