<?php

declare(strict_types=1);

namespace Drupal\Tests\commerce_waybill_orders\Kernel;

use Drupal\Core\Lock\LockBackendAbstract;

/**
 * A lock of one process: what is held, and by whom it is held elsewhere.
 */
class MemoryLock extends LockBackendAbstract {

  /**
   * Names of locks that somebody else has.
   *
   * @var string[]
   */
  public array $elsewhere = [];

  /**
   * {@inheritdoc}
   */
  public function acquire($name, $timeout = 30.0): bool {
    if (in_array($name, $this->elsewhere, TRUE)) {
      return FALSE;
    }
    $this->locks[$name] = TRUE;
    return TRUE;
  }

  /**
   * {@inheritdoc}
   */
  public function lockMayBeAvailable($name): bool {
    return !isset($this->locks[$name]) && !in_array($name, $this->elsewhere, TRUE);
  }

  /**
   * {@inheritdoc}
   */
  public function wait($name, $delay = 30): bool {
    return in_array($name, $this->elsewhere, TRUE);
  }

  /**
   * {@inheritdoc}
   */
  public function release($name): void {
    unset($this->locks[$name]);
  }

  /**
   * {@inheritdoc}
   */
  public function releaseAll($lock_id = NULL): void {
    $this->locks = [];
  }

}
