<?php

declare(strict_types=1);

namespace Drupal\Tests\commerce_waybill_checkout\Kernel;

use Drupal\Component\Datetime\Time;

/**
 * A clock that a test moves on.
 */
class ShopTime extends Time {

  /**
   * Seconds that passed since the test began.
   */
  public int $passed = 0;

  /**
   * {@inheritdoc}
   */
  public function getRequestTime(): int {
    return 1_800_000_000 + $this->passed;
  }

  /**
   * {@inheritdoc}
   */
  public function getCurrentTime(): int {
    return $this->getRequestTime();
  }

}
