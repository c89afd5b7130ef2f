<?php

declare(strict_types=1);

namespace Drupal\commerce_waybill_operations\Batch;

use Drupal\commerce_waybill_operations\Document\Operation;

/**
 * Keeps count of variations that no product lists.
 *
 * A variation without a product can neither be read nor changed nor deleted
 * through JSON:API, so none may be left when a settlement ends.
 */
final class Orphans {

  /**
   * Operations that left a variation alone, by the variation's id.
   *
   * @var array<int|string, \Drupal\commerce_waybill_operations\Document\Operation>
   */
  private array $waiting = [];

  /**
   * A variation has no product, for now, because of an operation.
   */
  public function left(int|string $variation, Operation $operation): void {
    $this->waiting[$variation] = $operation;
  }

  /**
   * A product was saved with a list of variations.
   *
   * @param array<int|string> $before
   *   Ids that it listed before.
   * @param array<int|string> $after
   *   Ids that it lists now.
   * @param \Drupal\commerce_waybill_operations\Document\Operation $operation
   *   The operation.
   *
   * @return array<int|string, \Drupal\commerce_waybill_operations\Document\Operation>
   *   The operations whose variations found their product, by variation.
   */
  public function listed(array $before, array $after, Operation $operation): array {
    foreach (array_diff($before, $after) as $variation) {
      $this->left($variation, $operation);
    }
    $found = array_intersect_key($this->waiting, array_flip($after));
    $this->waiting = array_diff_key($this->waiting, $found);
    return $found;
  }

  /**
   * A variation was deleted.
   */
  public function deleted(int|string $variation): void {
    unset($this->waiting[$variation]);
  }

  /**
   * Lists the operations that left orphans.
   *
   * @return \Drupal\commerce_waybill_operations\Document\Operation[]
   *   Each once.
   */
  public function culprits(): array {
    return array_column($this->waiting, NULL, 'index');
  }

}
