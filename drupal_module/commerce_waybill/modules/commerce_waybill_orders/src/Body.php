<?php

declare(strict_types=1);

namespace Drupal\commerce_waybill_orders;

use Drupal\commerce_price\Price;
use Symfony\Component\HttpFoundation\Request;

/**
 * A JSON object that was sent, read field by field.
 *
 * Every reader throws a Refusal that points at the field.
 */
final class Body {

  private const TIME = '/^(\d{4})-(\d\d)-(\d\d)T([01]\d|2[0-3]):[0-5]\d:[0-5]\d(\.\d{1,9})?(Z|[+-]([01]\d|2[0-3]):[0-5]\d)$/D';

  private function __construct(
    private readonly array $values,
    private readonly string $pointer = '',
  ) {}

  /**
   * Decodes the body of a request.
   *
   * @throws \Drupal\commerce_waybill_orders\Refusal
   *   400 when it is no JSON object.
   */
  public static function of(Request $request): self {
    $values = json_decode($request->getContent(), TRUE, 16);
    if (!self::isObject($values)) {
      throw new Refusal(400, 'malformed', 'The body has to be a JSON object.');
    }
    return new self($values);
  }

  /**
   * Refuses any field but these.
   */
  public function only(string ...$names): void {
    foreach (array_keys($this->values) as $name) {
      if (!in_array((string) $name, $names, TRUE)) {
        throw new Refusal(422, 'field_unknown', 'There is no such field.', $this->at((string) $name), ['fields' => $names]);
      }
    }
  }

  /**
   * Whether a field was sent with a value.
   */
  public function has(string $name): bool {
    return isset($this->values[$name]);
  }

  /**
   * Reads a text that is not empty.
   */
  public function text(string $name, int $length = 255): string {
    $value = $this->anyText($name, $length);
    return $value !== '' ? $value : throw $this->wrong($name, 'A text is required.');
  }

  /**
   * Reads a text that may be empty, or absent.
   */
  public function anyText(string $name, int $length = 255): string {
    $value = $this->values[$name] ?? '';
    if (!is_string($value) || mb_strlen($value) > $length) {
      throw $this->wrong($name, "A text of at most $length characters is required.");
    }
    return $value;
  }

  /**
   * Reads one of these words.
   */
  public function word(string $name, array $words): string {
    $value = $this->values[$name] ?? NULL;
    return in_array($value, $words, TRUE) ? $value : throw $this->wrong($name, 'One of these is required: ' . implode(', ', $words) . '.');
  }

  /**
   * Reads true or false.
   */
  public function flag(string $name): bool {
    $value = $this->values[$name] ?? NULL;
    return is_bool($value) ? $value : throw $this->wrong($name, 'True or false is required.');
  }

  /**
   * Reads a list of texts.
   *
   * @return string[]
   *   The texts.
   */
  public function texts(string $name, string $pattern): array {
    $values = $this->values[$name] ?? NULL;
    $list = is_array($values) && array_is_list($values) ? $values : throw $this->wrong($name, 'A list is required.');
    foreach ($list as $index => $value) {
      if (!is_string($value) || !preg_match($pattern, $value)) {
        throw $this->wrong("$name/$index", "This does not match $pattern.");
      }
    }
    return $list;
  }

  /**
   * Reads a list of objects.
   *
   * @return self[]
   *   At least one.
   */
  public function parts(string $name): array {
    $values = $this->values[$name] ?? NULL;
    if (!is_array($values) || !array_is_list($values) || !$values) {
      throw $this->wrong($name, 'A list of objects is required.');
    }
    return array_map(fn (int $index): self => $this->nested($values[$index], "$name/$index"), array_keys($values));
  }

  /**
   * Reads an object.
   */
  public function part(string $name): self {
    return $this->nested($this->values[$name] ?? NULL, $name);
  }

  /**
   * Reads an instant: RFC 3339, given in UTC.
   */
  public function time(string $name): \DateTimeImmutable {
    $value = $this->values[$name] ?? NULL;
    if (!is_string($value) || !preg_match(self::TIME, $value, $found) || !checkdate((int) $found[2], (int) $found[3], (int) $found[1])) {
      throw $this->wrong($name, 'An RFC 3339 date and time with its offset is required.');
    }
    return (new \DateTimeImmutable($value))->setTimezone(new \DateTimeZone('UTC'));
  }

  /**
   * Reads a decimal that is not negative.
   */
  public function decimal(string $name): string {
    $value = $this->values[$name] ?? NULL;
    if (!is_string($value) || !preg_match('/^\d{1,13}(\.\d{1,6})?$/D', $value)) {
      throw $this->wrong($name, 'A decimal that is not negative is required, as a text: "19.99".');
    }
    return $value;
  }

  /**
   * Reads an amount of money.
   */
  public function price(string $name): Price {
    $part = $this->part($name);
    $part->only('number', 'currency_code');
    return new Price($part->decimal('number'), $part->text('currency_code', 3));
  }

  /**
   * A field has a wrong value.
   */
  public function wrong(string $name, string $detail, array $meta = []): Refusal {
    return Refusal::field($this->at($name), $detail, $meta);
  }

  /**
   * Points at a field.
   */
  private function at(string $name): string {
    return "$this->pointer/$name";
  }

  /**
   * Takes an object that is the value of a field.
   */
  private function nested(mixed $values, string $name): self {
    return self::isObject($values) ? new self($values, $this->at($name)) : throw $this->wrong($name, 'An object is required.');
  }

  /**
   * Whether decoded JSON is an object; an empty one and [] look the same.
   */
  private static function isObject(mixed $values): bool {
    return is_array($values) && ($values === [] || !array_is_list($values));
  }

}
