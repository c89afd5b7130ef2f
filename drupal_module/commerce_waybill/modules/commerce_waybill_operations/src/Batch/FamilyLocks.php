<?php

declare(strict_types=1);

namespace Drupal\commerce_waybill_operations\Batch;

use Drupal\Core\Database\Connection;
use Drupal\Core\Database\DatabaseException;
use Drupal\Core\Lock\LockBackendInterface;

/**
 * Keeps other batches away from the products that one works on.
 *
 * One lock for a product and all its variations: saving one can save another.
 */
class FamilyLocks {

  /**
   * Seconds after which a lock ends by itself, when PHP was killed.
   */
  private const LIFETIME = 120.0;

  private const PREFIX = 'commerce_waybill_operations:';

  /**
   * The locks that are held.
   *
   * @var string[]
   */
  private array $held = [];

  /**
   * When the first of them was taken, in seconds.
   */
  private float $since = 0.0;

  public function __construct(
    private readonly LockBackendInterface $lock,
    private readonly Connection $database,
  ) {}

  /**
   * Takes locks, always in the same order, so that two batches never deadlock.
   *
   * @param string[] $names
   *   What to lock.
   * @param float $wait
   *   Seconds to wait for all of them together.
   *
   * @return string[]
   *   The names that could not be locked.
   */
  public function acquire(array $names, float $wait): array {
    $names = array_unique($names);
    sort($names, SORT_STRING);
    $this->since = microtime(TRUE);
    // Those that are free, at the cost of one commit instead of one each.
    $this->together(fn (string $name) => $this->take($name, 0.0), $names);
    $missing = [];
    foreach ($names as $name) {
      if (!in_array($name, $this->held, TRUE) && !$this->take($name, $this->since + $wait)) {
        $missing[] = $name;
      }
    }
    return $missing;
  }

  /**
   * Whether the locks are held for a while yet.
   */
  public function areFresh(): bool {
    return microtime(TRUE) - $this->since < self::LIFETIME / 2;
  }

  /**
   * Gives all locks back.
   */
  public function release(): void {
    $release = fn (string $name) => $this->lock->release(self::PREFIX . $name);
    if (!$this->together($release, $this->held)) {
      array_map($release, $this->held);
    }
    $this->held = [];
  }

  /**
   * Does something with each name, in one transaction.
   *
   * Nothing waits in it: all take and release locks in the same order.
   *
   * @return bool
   *   Whether it went through.
   */
  private function together(callable $what, array $names): bool {
    $held = $this->held;
    try {
      $transaction = $this->database->startTransaction();
      array_map($what, $names);
      unset($transaction);
    }
    catch (DatabaseException | \PDOException) {
      isset($transaction) && $this->database->inTransaction() && $transaction->rollBack();
      $this->held = $held;
      return FALSE;
    }
    return TRUE;
  }

  /**
   * Takes one lock, or gives up at some time.
   */
  private function take(string $name, float $deadline): bool {
    while (!$this->lock->acquire(self::PREFIX . $name, self::LIFETIME)) {
      $left = (int) ceil($deadline - microtime(TRUE));
      if ($left <= 0 || $this->lock->wait(self::PREFIX . $name, $left)) {
        return FALSE;
      }
    }
    $this->held[] = $name;
    return TRUE;
  }

}
