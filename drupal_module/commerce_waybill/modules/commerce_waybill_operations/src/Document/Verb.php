<?php

declare(strict_types=1);

namespace Drupal\commerce_waybill_operations\Document;

/**
 * What an operation does, as the Atomic Operations extension calls it.
 */
enum Verb: string {

  case Add = 'add';
  case Update = 'update';
  case Remove = 'remove';

}
