<?php

declare(strict_types=1);

namespace Drupal\Tests\commerce_waybill_checkout\Kernel;

use Drupal\Core\Lock\DatabaseLockBackend;

/**
 * The lock of one process, which does not sleep while it waits.
 */
class ShopLock extends DatabaseLockBackend {

  /**
   * What another process does just before the next lock is taken.
   */
  public ?\Closure $meanwhile = NULL;

  /**
   * {@inheritdoc}
   */
  public function acquire($name, $timeout = 30.0): bool {
    [$meanwhile, $this->meanwhile] = [$this->meanwhile, NULL];
    if ($meanwhile !== NULL) {
      $meanwhile();
    }
    return parent::acquire($name, $timeout);
  }

  /**
   * {@inheritdoc}
   */
  public function wait($name, $delay = 30): bool {
    return !$this->lockMayBeAvailable($name);
  }

}
