<?php

declare(strict_types=1);

namespace Drupal\commerce_waybill_operations\Error;

use Symfony\Component\HttpFoundation\Response;

/**
 * One JSON:API error object.
 *
 * @see https://jsonapi.org/format/#error-objects
 */
final class ErrorObject {

  public function __construct(
    public readonly int $status,
    public readonly string $detail,
    public readonly string $pointer = '',
    public readonly array $meta = [],
  ) {}

  /**
   * Makes a JSON pointer of names.
   *
   * @see https://www.rfc-editor.org/rfc/rfc6901
   */
  public static function pointer(string|int ...$tokens): string {
    return implode('', array_map(
      static fn (string|int $token): string => '/' . strtr((string) $token, ['~' => '~0', '/' => '~1']),
      $tokens,
    ));
  }

  /**
   * Gives the same error, its pointer seen from further up the document.
   */
  public function under(string $prefix): self {
    return new self($this->status, $this->detail, $prefix . $this->pointer, $this->meta);
  }

  /**
   * Gives the error as JSON:API writes it.
   */
  public function toArray(): array {
    $error = [
      'title' => Response::$statusTexts[$this->status] ?? 'Error',
      'status' => (string) $this->status,
      'detail' => $this->detail,
    ];
    if ($this->pointer !== '') {
      $error['source'] = ['pointer' => $this->pointer];
    }
    return $this->meta ? $error + ['meta' => $this->meta] : $error;
  }

}
