<?php

declare(strict_types=1);

namespace Drupal\commerce_waybill_operations\Batch;

use Drupal\commerce_waybill_operations\Document\Operation;
use Drupal\commerce_waybill_operations\Entity\IdentityMap;
use Drupal\commerce_waybill_operations\Error\Refusal;
use Drupal\Core\Database\Connection;
use Drupal\Core\Database\Transaction;

/**
 * Carries out settlements, and leaves no orphan behind.
 */
class Settler {

  /**
   * How often something is tried that the database gave up for another.
   */
  private const ATTEMPTS = 3;

  private const BUSY = 'Another batch works on this; send the operation again.';

  public function __construct(
    private readonly Connection $database,
    private readonly OperationRunner $runner,
    private readonly FamilyLocks $locks,
  ) {}

  /**
   * Carries out settlements, each for itself.
   *
   * @param \Drupal\commerce_waybill_operations\Batch\Settlement[] $settlements
   *   The settlements.
   * @param \Drupal\commerce_waybill_operations\Entity\IdentityMap $map
   *   The entities.
   * @param string[] $missing
   *   Names of locks that others hold.
   * @param string $run
   *   Which run of the middleware this is part of.
   *
   * @return \Drupal\commerce_waybill_operations\Batch\Result[]
   *   Results by index of the operation.
   */
  public function each(array $settlements, IdentityMap $map, array $missing, string $run): array {
    $results = [];
    foreach ($settlements as $settlement) {
      $free = !array_intersect($settlement->locks, $missing) && $this->locks->areFresh();
      $results += $free
        ? $this->settle($settlement, $map, $run)
        : self::refuse($settlement->operations, Refusal::retryable(self::BUSY));
    }
    return $results;
  }

  /**
   * Carries out settlements in one transaction, or none of them.
   *
   * @param \Drupal\commerce_waybill_operations\Batch\Settlement[] $settlements
   *   The settlements.
   * @param \Drupal\commerce_waybill_operations\Entity\IdentityMap $map
   *   The entities.
   * @param string[] $missing
   *   Names of locks that others hold.
   * @param string $run
   *   Which run of the middleware this is part of.
   *
   * @return \Drupal\commerce_waybill_operations\Batch\Result[]
   *   Results by index of the operation.
   *
   * @throws \Drupal\commerce_waybill_operations\Error\Refusal
   *   With the errors of the first operation that was refused.
   */
  public function all(array $settlements, IdentityMap $map, array $missing, string $run): array {
    $results = [];
    $before = $map->checkpoint();
    $transaction = $this->database->startTransaction();
    try {
      foreach ($settlements as $settlement) {
        $orphans = new Orphans();
        foreach ($settlement->operations as $operation) {
          if (array_intersect($settlement->locks, $missing) || !$this->locks->areFresh()) {
            throw Refusal::retryable(self::BUSY, $operation->pointer());
          }
          $results[$operation->index] = $this->runner->run($operation, $map, $orphans, $run);
        }
        foreach ($orphans->culprits() as $operation) {
          throw self::orphan($operation);
        }
      }
    }
    catch (\Throwable $thrown) {
      $this->undo($transaction, $map, $before);
      throw $thrown instanceof LostTransaction ? Refusal::retryable(self::BUSY) : $thrown;
    }
    return $results;
  }

  /**
   * Gives the same refusal to several operations.
   *
   * @return \Drupal\commerce_waybill_operations\Batch\Result[]
   *   Results by index of the operation.
   */
  public static function refuse(array $operations, Refusal $refusal): array {
    $results = [];
    foreach ($operations as $operation) {
      $results[$operation->index] = Result::refused($refusal->under($operation->pointer()));
    }
    return $results;
  }

  /**
   * Carries out one settlement, until no operation leaves an orphan.
   */
  private function settle(Settlement $settlement, IdentityMap $map, string $run): array {
    $refused = [];
    $lost = 0;
    do {
      // The one before has to be gone when another begins: only then does
      // Drupal tell the caches at the end of that one.
      unset($transaction);
      $before = $map->checkpoint();
      $orphans = new Orphans();
      $transaction = $settlement->atomic ? $this->database->startTransaction() : NULL;
      try {
        $results = $this->attempt(array_filter(
          $settlement->operations,
          static fn (Operation $operation): bool => !isset($refused[$operation->index]),
        ), $map, $orphans, $run);
      }
      catch (LostTransaction) {
        $this->undo($transaction, $map, $before);
        if (++$lost < self::ATTEMPTS) {
          continue;
        }
        return self::refuse($settlement->operations, Refusal::retryable(self::BUSY));
      }
      if (!$orphans->culprits()) {
        return $refused + $results;
      }
      // What was refused stays so, for the reason that it had: the others may
      // have depended on it.
      $this->undo($transaction, $map, $before);
      $refused += array_filter($results, static fn (Result $result): bool => $result->isRefused());
      foreach ($orphans->culprits() as $operation) {
        $refused[$operation->index] = Result::refused(self::orphan($operation));
      }
    } while (TRUE);
  }

  /**
   * Carries out operations one after the other.
   */
  private function attempt(array $operations, IdentityMap $map, Orphans $orphans, string $run): array {
    $results = [];
    foreach ($operations as $operation) {
      try {
        $results[$operation->index] = $this->runner->run($operation, $map, $orphans, $run);
      }
      catch (Refusal $refusal) {
        $results[$operation->index] = Result::refused($refusal);
      }
    }
    return $results;
  }

  /**
   * Goes back to how things were.
   */
  private function undo(?Transaction $transaction, IdentityMap $map, IdentityMap $before): void {
    try {
      $transaction?->rollBack();
    }
    catch (\Exception $exception) {
      $this->isOver() || throw $exception;
    }
    $map->revert($before);
  }

  /**
   * Whether the database has ended the transaction by itself.
   *
   * After a deadlock MySQL has rolled back already, which its client learns
   * only from the next answer. Drupal then still counts on its savepoints, and
   * would take what follows for a part of the transaction.
   */
  private function isOver(): bool {
    $this->database->query('SELECT 1')->fetchField();
    if ($this->database->getClientConnection()->inTransaction()) {
      return FALSE;
    }
    // Nothing is left to be committed: this only lets Drupal forget it.
    $this->database->transactionManager()->commitAll();
    return !$this->database->inTransaction();
  }

  /**
   * Says that an operation would leave a variation that no product has.
   */
  private static function orphan(Operation $operation): Refusal {
    return Refusal::because(
      422,
      'A variation would be left without a product: name its product, add a product that refers to it, or remove it.',
      $operation->pointer() . '/data/relationships',
    );
  }

}
