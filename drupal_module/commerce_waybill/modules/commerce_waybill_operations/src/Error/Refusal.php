<?php

declare(strict_types=1);

namespace Drupal\commerce_waybill_operations\Error;

/**
 * A document or an operation that is not carried out, with the reasons.
 */
final class Refusal extends \RuntimeException {

  /**
   * Constructs a refusal.
   *
   * @param non-empty-list<\Drupal\commerce_waybill_operations\Error\ErrorObject> $errors
   *   What is wrong.
   */
  public function __construct(public readonly array $errors) {
    parent::__construct($errors[0]->detail, $errors[0]->status);
  }

  /**
   * Makes a refusal with one reason.
   */
  public static function because(int $status, string $detail, string $pointer = '', array $meta = []): self {
    return new self([new ErrorObject($status, $detail, $pointer, $meta)]);
  }

  /**
   * Makes a refusal that says: the same again, a little later.
   */
  public static function retryable(string $detail, string $pointer = ''): self {
    return self::because(409, $detail, $pointer, ['retryable' => TRUE]);
  }

  /**
   * Gives the same refusal, its pointers seen from further up the document.
   */
  public function under(string $prefix): self {
    return new self(array_map(static fn (ErrorObject $error): ErrorObject => $error->under($prefix), $this->errors));
  }

}
