<?php

declare(strict_types=1);

namespace Drupal\commerce_waybill\Outbox;

/**
 * One row of the outbox: a reference to what happened, never the content.
 */
final class Entry {

  public function __construct(
    public readonly int $id,
    public readonly string $deliveryId,
    public readonly string $event,
    public readonly int $orderId,
    public readonly string $correlationId,
    public readonly ?array $data,
    public readonly int $created,
    public readonly int $attempts,
  ) {}

  /**
   * Makes an entry of a database row.
   *
   * @param object $row
   *   A row of commerce_waybill_outbox.
   */
  public static function of(object $row): self {
    $data = $row->data === NULL ? NULL : json_decode($row->data, TRUE, 32, JSON_THROW_ON_ERROR);
    return new self((int) $row->id, $row->delivery_id, $row->event, (int) $row->order_id, $row->correlation_id, $data, (int) $row->created, (int) $row->attempts);
  }

}
