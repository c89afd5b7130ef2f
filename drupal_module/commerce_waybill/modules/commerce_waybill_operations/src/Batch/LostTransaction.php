<?php

declare(strict_types=1);

namespace Drupal\commerce_waybill_operations\Batch;

/**
 * The database gave a transaction up, for a deadlock or a lock wait.
 */
final class LostTransaction extends \RuntimeException {

  /**
   * Codes of a deadlock, a lock wait time-out, a serialization failure.
   *
   * MySQL has 1213 and 1205, PostgreSQL 40P01 and 40001, SQLite 5. Where Drupal
   * went back to a savepoint after a deadlock, MySQL says 1305: the savepoint
   * went with the transaction, and nothing else tells of the deadlock.
   */
  private const CODES = ['1213', '1205', '1305', '40P01', '40001', '5'];

  /**
   * Recognises one among the causes of an exception.
   */
  public static function in(\Throwable $thrown): ?self {
    for ($cause = $thrown; $cause; $cause = $cause->getPrevious()) {
      $codes = $cause instanceof \PDOException ? array_map('strval', array_slice($cause->errorInfo ?? [], 0, 2)) : [];
      if (array_intersect($codes, self::CODES)) {
        return new self($cause->getMessage(), 0, $thrown);
      }
    }
    return NULL;
  }

}
