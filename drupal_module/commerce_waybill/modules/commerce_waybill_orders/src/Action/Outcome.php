<?php

declare(strict_types=1);

namespace Drupal\commerce_waybill_orders\Action;

/**
 * What an action came to.
 */
final class Outcome {

  private function __construct(
    public readonly bool $changed,
    public readonly array $data,
    public readonly array $log = [],
    public readonly ?\Closure $effect = NULL,
  ) {}

  /**
   * There is nothing to save.
   *
   * @param string $reason
   *   Why: "equal" or "older".
   * @param array $data
   *   What to answer.
   */
  public static function unchanged(string $reason, array $data = []): self {
    return new self(FALSE, ['reason' => $reason] + $data);
  }

  /**
   * The order has to be saved.
   *
   * @param array $data
   *   What to answer.
   * @param array $log
   *   What to note: parameters by the name of their template.
   * @param \Closure|null $effect
   *   Saves what belongs to the order, in the same transaction.
   */
  public static function changed(array $data = [], array $log = [], ?\Closure $effect = NULL): self {
    return new self(TRUE, $data, $log, $effect);
  }

}
