<?php

declare(strict_types=1);

namespace Drupal\commerce_waybill\Outbox;

use Drupal\commerce_order\Entity\OrderInterface;
use Drupal\Component\Datetime\TimeInterface;
use Drupal\Component\Uuid\UuidInterface;
use Drupal\Core\Config\ConfigFactoryInterface;
use Drupal\Core\Database\Connection;

/**
 * The table of what the middleware has to be told.
 *
 * A row is inserted in the transaction of the entity that changed, so both are
 * there or neither. Its states: pending, delivered, dead (given up, visible),
 * skipped (nothing left to tell).
 */
class Outbox {

  public const TABLE = 'commerce_waybill_outbox';

  /**
   * Seconds that a deliverer owns a row; longer than any delivery takes.
   */
  public const CLAIM = 120;

  /**
   * Events recorded in this request, by order and version.
   *
   * @var array<string, true>
   */
  private array $told = [];

  public function __construct(
    private readonly Connection $database,
    private readonly ConfigFactoryInterface $configFactory,
    private readonly UuidInterface $uuid,
    private readonly TimeInterface $time,
    private readonly Flusher $flusher,
  ) {}

  /**
   * Records that something happened to an order, in the open transaction.
   *
   * @param string $event
   *   The event, such as "order.placed".
   * @param \Drupal\commerce_order\Entity\OrderInterface $order
   *   The order, at the version that the event speaks of.
   * @param string $subject
   *   The uuid of the payment that changed; empty for the order itself.
   * @param array|null $data
   *   For a signal: what it says, small and without personal data. An order
   *   or payment event has none: its content is read when it is delivered.
   * @param string $correlation_id
   *   What this event belongs to; empty to use the order's uuid.
   *
   * @throws \Exception
   *   When the row cannot be written: then the change is not kept either.
   */
  public function record(string $event, OrderInterface $order, string $subject = '', ?array $data = NULL, string $correlation_id = ''): void {
    if (!in_array($event, (array) $this->configFactory->get('commerce_waybill.settings')->get('events'), TRUE)) {
      return;
    }
    $now = $this->time->getCurrentTime();
    $id = $this->database->insert(self::TABLE)->fields([
      'delivery_id' => 'evt_' . $this->uuid->generate(),
      'event' => $event,
      'order_id' => (int) $order->id(),
      'order_uuid' => (string) $order->uuid(),
      'subject' => $subject,
      'version' => (int) $order->getVersion(),
      'correlation_id' => $correlation_id ?: (string) $order->uuid(),
      'data' => $data === NULL ? NULL : json_encode($data, JSON_THROW_ON_ERROR | JSON_UNESCAPED_UNICODE | JSON_UNESCAPED_SLASHES),
      'created' => $now,
      'due' => $now,
    ])->execute();
    $this->told[$order->id() . ':' . $order->getVersion()] = TRUE;
    $this->flusher->note((int) $id);
  }

  /**
   * Whether this request already tells of an order at its version.
   */
  public function tells(OrderInterface $order): bool {
    return isset($this->told[$order->id() . ':' . $order->getVersion()]);
  }

  /**
   * Lists ids of rows that should be delivered now, oldest first.
   *
   * @return int[]
   *   Ids of pending rows that are due and that nobody works on.
   */
  public function due(int $limit): array {
    $now = $this->time->getCurrentTime();
    $ids = $this->database->select(self::TABLE, 'o')
      ->fields('o', ['id'])
      ->condition('status', 'pending')
      ->condition('due', $now, '<=')
      ->condition('claimed_until', $now, '<')
      ->orderBy('due')
      ->orderBy('id')
      ->range(0, $limit)
      ->execute()
      ->fetchCol();
    return array_map('intval', $ids);
  }

  /**
   * Takes a row for delivery, so that no other deliverer has it.
   *
   * @return \Drupal\commerce_waybill\Outbox\Entry|null
   *   The row with its attempt counted, or NULL when somebody else has it or
   *   it is done.
   */
  public function claim(int $id): ?Entry {
    $now = $this->time->getCurrentTime();
    $claimed = $this->database->update(self::TABLE)
      ->fields(['claimed_until' => $now + self::CLAIM])
      ->expression('attempts', '[attempts] + 1')
      ->condition('id', $id)
      ->condition('status', 'pending')
      ->condition('claimed_until', $now, '<')
      ->execute();
    if ($claimed !== 1) {
      return NULL;
    }
    $row = $this->database->select(self::TABLE, 'o')->fields('o')->condition('id', $id)->execute()->fetchObject();
    return $row ? Entry::of($row) : NULL;
  }

  /**
   * Gives the next number of an order; the caller holds the order's lock.
   *
   * @return int
   *   Higher than every number that the order had before.
   */
  public function nextNumber(Entry $entry): int {
    $table = 'commerce_waybill_number';
    $last = $this->database->select($table, 'n')->fields('n', ['number'])->condition('order_id', $entry->orderId)->execute()->fetchField();
    $number = (int) $last + 1;
    $this->database->merge($table)->key('order_id', $entry->orderId)->fields(['number' => $number])->execute();
    $this->database->update(self::TABLE)->fields(['number' => $number])->condition('id', $entry->id)->execute();
    return $number;
  }

  /**
   * Ends a row.
   *
   * @param \Drupal\commerce_waybill\Outbox\Entry $entry
   *   The row.
   * @param string $status
   *   One of "delivered", "skipped" and "dead".
   * @param string $reason
   *   Why, when it is not delivered.
   */
  public function end(Entry $entry, string $status, string $reason = ''): void {
    $this->database->update(self::TABLE)
      ->fields([
        'status' => $status,
        'finished' => $this->time->getCurrentTime(),
        'claimed_until' => 0,
        'error' => mb_substr($reason, 0, 255),
      ])
      ->condition('id', $entry->id)
      ->execute();
  }

  /**
   * Puts a row back after a failed attempt, or gives it up.
   *
   * @param \Drupal\commerce_waybill\Outbox\Entry $entry
   *   The row.
   * @param string $reason
   *   What went wrong, without personal data.
   */
  public function postpone(Entry $entry, string $reason): void {
    if ($entry->attempts >= (int) $this->configFactory->get('commerce_waybill.settings')->get('attempts')) {
      $this->end($entry, 'dead', $reason);
      return;
    }
    // Doubling from 10 seconds to 6 hours, half of it random: a hundred sites
    // do not come back in the same second.
    $wait = min(10 * 2 ** ($entry->attempts - 1), 21600);
    $this->database->update(self::TABLE)
      ->fields([
        'due' => $this->time->getCurrentTime() + (int) ($wait / 2) + random_int(0, (int) ($wait / 2)),
        'claimed_until' => 0,
        'error' => mb_substr($reason, 0, 255),
      ])
      ->condition('id', $entry->id)
      ->execute();
  }

  /**
   * Makes dead rows pending again, for a person who mended the cause.
   *
   * @param int[] $ids
   *   The rows; none means every dead one.
   *
   * @return int
   *   How many will be tried again.
   */
  public function retry(array $ids = []): int {
    $update = $this->database->update(self::TABLE)
      ->fields(['status' => 'pending', 'attempts' => 0, 'due' => $this->time->getCurrentTime(), 'finished' => 0])
      ->condition('status', 'dead');
    if ($ids) {
      $update->condition('id', $ids, 'IN');
    }
    return (int) $update->execute();
  }

  /**
   * Deletes rows that ended long enough ago.
   */
  public function purge(): void {
    $settings = $this->configFactory->get('commerce_waybill.settings');
    $now = $this->time->getCurrentTime();
    foreach (['delivered' => 'keep_delivered', 'skipped' => 'keep_delivered', 'dead' => 'keep_dead'] as $status => $days) {
      $this->database->delete(self::TABLE)
        ->condition('status', $status)
        ->condition('finished', $now - 86400 * (int) $settings->get($days), '<')
        ->execute();
    }
  }

  /**
   * Counts the outbox.
   *
   * @return array{pending: int, oldest: int|null, dead: int, last_success: int|null}
   *   Rows and Unix times.
   */
  public function summary(): array {
    $counts = $this->database->query('SELECT [status], COUNT(*) FROM {' . self::TABLE . '} GROUP BY [status]')->fetchAllKeyed();
    $oldest = $this->database->query('SELECT MIN([created]) FROM {' . self::TABLE . "} WHERE [status] = 'pending'")->fetchField();
    $last = $this->database->query('SELECT MAX([finished]) FROM {' . self::TABLE . "} WHERE [status] = 'delivered'")->fetchField();
    return [
      'pending' => (int) ($counts['pending'] ?? 0),
      'oldest' => $oldest ? (int) $oldest : NULL,
      'dead' => (int) ($counts['dead'] ?? 0),
      'last_success' => $last ? (int) $last : NULL,
    ];
  }

  /**
   * Lists rows for a person.
   *
   * @param array<string, mixed> $conditions
   *   Column values, such as ['order_id' => 7].
   * @param int $limit
   *   How many at most, newest first.
   *
   * @return object[]
   *   The rows.
   */
  public function rows(array $conditions, int $limit = 50): array {
    $select = $this->database->select(self::TABLE, 'o')->fields('o')->orderBy('id', 'DESC')->range(0, $limit);
    foreach ($conditions as $column => $value) {
      $select->condition($column, $value);
    }
    return $select->execute()->fetchAll();
  }

}
