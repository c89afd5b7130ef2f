<?php

declare(strict_types=1);

namespace Drupal\commerce_waybill_orders;

use Drupal\Component\Datetime\TimeInterface;
use Drupal\Core\Database\Connection;

/**
 * The table of answered calls: a key is answered once.
 */
class Calls {

  public const TABLE = 'commerce_waybill_call';

  public function __construct(
    private readonly Connection $database,
    private readonly TimeInterface $time,
  ) {}

  /**
   * Finds the answer that a call already has.
   *
   * @throws \Drupal\commerce_waybill_orders\Refusal
   *   422 when the key was used for something else.
   */
  public function answered(Call $call): ?Answer {
    $row = $this->database->select(self::TABLE, 'c')->fields('c')->condition('key_hash', $call->keyHash)->execute()->fetchObject();
    if (!$row) {
      return NULL;
    }
    if (!hash_equals($row->body_hash, $call->bodyHash)) {
      throw new Refusal(422, 'key_reused', 'This Idempotency-Key was used for another request.');
    }
    return new Answer(json_decode($row->answer, TRUE, 512, JSON_THROW_ON_ERROR), (int) $row->status, TRUE);
  }

  /**
   * Keeps the answer of a call, in the transaction that is open.
   *
   * @throws \Drupal\Core\Database\IntegrityConstraintViolationException
   *   When the call was answered meanwhile.
   */
  public function keep(Call $call, int $order_id, Answer $answer): void {
    $this->database->insert(self::TABLE)->fields([
      'key_hash' => $call->keyHash,
      'operation' => $call->operation,
      'order_id' => $order_id,
      'body_hash' => $call->bodyHash,
      'answer' => json_encode($answer->data, JSON_THROW_ON_ERROR),
      'status' => $answer->status,
      'created' => $this->time->getCurrentTime(),
    ])->execute();
  }

  /**
   * Lists what was done to an order, newest first.
   *
   * @return array<int, array{at: int, what: string, outcome: string}>
   *   When, which operation, and what came of it.
   */
  public function of(int $order_id, int $limit = 100): array {
    $rows = $this->database->select(self::TABLE, 'c')
      ->fields('c', ['operation', 'answer', 'created'])
      ->condition('order_id', $order_id)
      ->orderBy('created', 'DESC')
      ->range(0, $limit)
      ->execute();
    $found = [];
    foreach ($rows as $row) {
      $status = (string) (json_decode($row->answer, TRUE)['status'] ?? '');
      $found[] = ['at' => (int) $row->created, 'what' => $row->operation, 'outcome' => $status];
    }
    return $found;
  }

  /**
   * Forgets calls that are older than any retry.
   */
  public function purge(int $days): void {
    $before = $this->time->getCurrentTime() - $days * 86400;
    $this->database->delete(self::TABLE)->condition('created', $before, '<')->execute();
  }

}
