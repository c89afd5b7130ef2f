<?php

declare(strict_types=1);

namespace Drupal\commerce_waybill_orders;

use Symfony\Component\HttpFoundation\JsonResponse;
use Symfony\Component\HttpFoundation\Response;

/**
 * A request that is not done, with the HTTP status and what to do about it.
 *
 * 400 the request itself is broken; 404 no such order; 409 the order or payment
 * is not in a state for it (or locked: then meta.retryable is true); 422 a
 * field of the body is wrong.
 */
final class Refusal extends \RuntimeException {

  public function __construct(
    public readonly int $status,
    public readonly string $error,
    string $detail,
    public readonly string $pointer = '',
    public readonly array $meta = [],
  ) {
    parent::__construct($detail);
  }

  /**
   * A field of the body is wrong.
   */
  public static function field(string $pointer, string $detail, array $meta = []): self {
    return new self(422, 'invalid', $detail, $pointer, $meta);
  }

  /**
   * Somebody else works on the order: the same request succeeds later.
   */
  public static function busy(): self {
    return new self(409, 'order_busy', 'Somebody else is changing this order. Try again.', '', ['retryable' => TRUE]);
  }

  /**
   * The fulfilment is held.
   *
   * @param string $reason
   *   Why.
   * @param string[] $allowed
   *   The transitions that are allowed nevertheless.
   */
  public static function held(string $reason, array $allowed): self {
    $meta = ['hold' => $reason, 'allowed' => $allowed];
    return new self(409, 'held', "The fulfilment of this order is held: $reason.", '', $meta);
  }

  /**
   * Gives the JSON:API error document.
   */
  public function toResponse(): JsonResponse {
    $error = [
      'status' => (string) $this->status,
      'code' => $this->error,
      'title' => Response::$statusTexts[$this->status],
      'detail' => $this->getMessage(),
    ];
    if ($this->pointer !== '') {
      $error['source'] = ['pointer' => $this->pointer];
    }
    return new JsonResponse(['errors' => [$error]] + ($this->meta ? ['meta' => $this->meta] : []), $this->status);
  }

}
