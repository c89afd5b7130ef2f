<?php

declare(strict_types=1);

namespace Drupal\commerce_waybill_operations\Batch;

use Drupal\commerce_waybill_operations\Error\ErrorObject;
use Drupal\commerce_waybill_operations\Error\Refusal;

/**
 * What came of one operation.
 */
final class Result {

  public const CREATED = 'created';
  public const UPDATED = 'updated';
  public const UNCHANGED = 'unchanged';
  public const REMOVED = 'removed';
  public const ABSENT = 'absent';

  private function __construct(
    private readonly string $status,
    private readonly ?array $data,
    private readonly ?Refusal $refusal = NULL,
  ) {}

  /**
   * Makes the result of an operation that was carried out.
   *
   * @param string $status
   *   One of the constants.
   * @param string $type
   *   The resource type.
   * @param string|null $id
   *   The resource's id; NULL when what is absent was named otherwise.
   */
  public static function of(string $status, string $type, ?string $id): self {
    return new self($status, $id === NULL ? NULL : ['type' => $type, 'id' => $id]);
  }

  /**
   * Makes the result of an operation that was refused.
   */
  public static function refused(Refusal $refusal): self {
    return new self('', NULL, $refusal);
  }

  /**
   * Whether the operation was refused.
   */
  public function isRefused(): bool {
    return $this->refusal !== NULL;
  }

  /**
   * Gives the result as the answer has it.
   */
  public function toArray(): array {
    return $this->refusal
      ? ['errors' => array_map(static fn (ErrorObject $error): array => $error->toArray(), $this->refusal->errors)]
      : ['data' => $this->data, 'meta' => ['status' => $this->status]];
  }

}
