<?php

declare(strict_types=1);

namespace Drupal\commerce_waybill_operations\Batch;

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
    $missing = [];
    foreach ($names as $name) {
      if ($this->take("commerce_waybill_operations:$name", $this->since + $wait)) {
        $this->held[] = "commerce_waybill_operations:$name";
      }
      else {
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
    array_map($this->lock->release(...), $this->held);
    $this->held = [];
  }

  /**
   * Takes one lock, or gives up at some time.
   */
  private function take(string $name, float $deadline): bool {
    while (!$this->lock->acquire($name, self::LIFETIME)) {
      $left = (int) ceil($deadline - microtime(TRUE));
      if ($left <= 0 || $this->lock->wait($name, $left)) {
        return FALSE;
      }
    }
    return TRUE;
  }

}
