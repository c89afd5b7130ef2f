<?php

declare(strict_types=1);

namespace Drupal\commerce_waybill_operations\Document;

/**
 * How the operations of a batch belong together.
 *
 * "each": one bad operation does not stop the others; "all": one transaction.
 */
enum Mode: string {

  case Each = 'each';
  case All = 'all';

}
