<?php

declare(strict_types=1);

namespace Drupal\Tests\commerce_waybill_orders\Kernel;

use Drupal\commerce_waybill_orders\Answer;
use Drupal\commerce_waybill_orders\Call;
use Drupal\commerce_waybill_orders\Calls;

/**
 * Lets something happen between the look for an answer and the save.
 */
class RacedCalls extends Calls {

  /**
   * What happens after the first look.
   */
  public ?\Closure $meanwhile = NULL;

  /**
   * {@inheritdoc}
   */
  public function answered(Call $call): ?Answer {
    $answer = parent::answered($call);
    if ($this->meanwhile !== NULL) {
      $happens = $this->meanwhile;
      $this->meanwhile = NULL;
      $happens();
    }
    return $answer;
  }

}
