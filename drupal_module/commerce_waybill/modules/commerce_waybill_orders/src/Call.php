<?php

declare(strict_types=1);

namespace Drupal\commerce_waybill_orders;

use Symfony\Component\HttpFoundation\Request;

/**
 * One call of the middleware: its key, and what the key stands for.
 */
final class Call {

  private function __construct(
    public readonly string $keyHash,
    public readonly string $operation,
    public readonly string $bodyHash,
  ) {}

  /**
   * Reads the call from a request.
   *
   * @throws \Drupal\commerce_waybill_orders\Refusal
   *   400 without a usable key.
   */
  public static function of(Request $request, string $operation, string $uuid): self {
    $key = (string) $request->headers->get('Idempotency-Key');
    if (!preg_match('/^[\x21-\x7E]{1,255}$/D', $key)) {
      throw new Refusal(400, 'key_missing', 'The header Idempotency-Key is required: 1 to 255 printable ASCII characters.');
    }
    // The same key for another order or operation is another body, too.
    $body = implode("\n", [$operation, $uuid, $request->getContent()]);
    return new self(hash('sha256', $key), $operation, hash('sha256', $body));
  }

}
