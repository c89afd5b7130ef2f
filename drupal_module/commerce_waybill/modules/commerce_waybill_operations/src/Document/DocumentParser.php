<?php

declare(strict_types=1);

namespace Drupal\commerce_waybill_operations\Document;

use Drupal\commerce_waybill_operations\Error\Refusal;
use Drupal\Component\Uuid\Uuid;

/**
 * Reads a request's body: its form only, not whether it makes sense here.
 *
 * @see https://jsonapi.org/ext/atomic/
 */
class DocumentParser {

  private const DEPTH = 64;
  private const KINDS = [Identifier::ID, Identifier::LID, Identifier::LINK, Identifier::SKU];

  /**
   * Reads a document of operations.
   *
   * @param string $json
   *   The request's body.
   * @param int $most
   *   How many operations it may have.
   *
   * @throws \Drupal\commerce_waybill_operations\Error\Refusal
   *   When the document as a whole is refused: malformed (400), or with too
   *   many operations (413).
   */
  public function parse(string $json, int $most): Batch {
    try {
      $document = json_decode($json, TRUE, self::DEPTH, JSON_THROW_ON_ERROR | JSON_BIGINT_AS_STRING);
    }
    catch (\JsonException $exception) {
      throw Refusal::because(400, $json === '' ? 'Empty request body.' : $exception->getMessage());
    }
    $operations = is_array($document) ? $document['atomic:operations'] ?? NULL : NULL;
    if (!is_array($operations) || !$operations || !array_is_list($operations)) {
      throw Refusal::because(400, 'The document must have a list of operations.', '/atomic:operations');
    }
    if (count($operations) > $most) {
      throw Refusal::because(413, sprintf('%d operations are more than the %d that one request may have.', count($operations), $most), '/atomic:operations');
    }
    return new Batch($this->operations($operations), $this->mode($document), $this->run($document));
  }

  /**
   * Reads the mode.
   */
  private function mode(array $document): Mode {
    $mode = $document['meta']['mode'] ?? Mode::Each->value;
    return (is_string($mode) ? Mode::tryFrom($mode) : NULL)
      ?? throw Refusal::because(400, 'The mode must be "each" or "all".', '/meta/mode');
  }

  /**
   * Reads the run's id.
   */
  private function run(array $document): string {
    $run = $document['meta']['run'] ?? '';
    if (!is_string($run) || mb_strlen($run) > 128) {
      throw Refusal::because(400, 'The run must be a string of at most 128 characters.', '/meta/run');
    }
    return $run;
  }

  /**
   * Reads all operations.
   *
   * @return \Drupal\commerce_waybill_operations\Document\Operation[]
   *   The operations, in order.
   */
  private function operations(array $list): array {
    $operations = $lids = [];
    foreach ($list as $index => $data) {
      $operation = $this->operation($index, $data);
      $defined = $operation->verb === Verb::Add && $operation->langcode === NULL ? $data['data']['lid'] ?? NULL : NULL;
      if ($defined !== NULL && isset($lids[$operation->type][$defined])) {
        throw Refusal::because(400, 'The local id is already taken.', $operation->pointer() . '/data/lid');
      }
      $lids[$operation->type][(string) $defined] = TRUE;
      $operations[] = $operation;
    }
    return $operations;
  }

  /**
   * Reads one operation.
   */
  private function operation(int $index, mixed $data): Operation {
    $at = "/atomic:operations/$index";
    $verb = is_array($data) && is_string($data['op'] ?? NULL) ? Verb::tryFrom($data['op']) : NULL;
    if (!$verb) {
      throw Refusal::because(400, 'An operation must have "op": "add", "update" or "remove".', "$at/op");
    }
    if (isset($data['href']) || isset($data['ref']['relationship'])) {
      throw Refusal::because(400, 'Operations on an address or on one relationship are not supported: name the resource in "ref".', $at);
    }
    $resource = $this->object($data, 'data', $at);
    $ref = $this->object($data, 'ref', $at);
    $type = $this->type($ref, $resource, $at);
    return new Operation(
      $index,
      $verb,
      $type,
      $this->identifiers($verb, $type, $ref, $resource, $at),
      $this->langcode($ref, $at),
      $this->object($resource, 'attributes', "$at/data"),
      $this->relationships($this->object($resource, 'relationships', "$at/data"), "$at/data/relationships"),
    );
  }

  /**
   * Reads a member that is an object, or is not there.
   */
  private function object(array $parent, string $name, string $at): array {
    $object = $parent[$name] ?? [];
    if (!is_array($object) || ($object && array_is_list($object))) {
      throw Refusal::because(400, "\"$name\" must be an object.", "$at/$name");
    }
    return $object;
  }

  /**
   * Reads the type, which ref and data must agree on.
   */
  private function type(array $ref, array $resource, string $at): string {
    foreach (['ref' => $ref, 'data' => $resource] as $name => $object) {
      if ($object && (!is_string($object['type'] ?? NULL) || $object['type'] === '')) {
        throw Refusal::because(400, 'Resource object must include a "type".', "$at/$name/type");
      }
    }
    $type = $ref['type'] ?? $resource['type'] ?? throw Refusal::because(400, 'An operation must have "ref" or "data".', $at);
    if ($resource && $resource['type'] !== $type) {
      throw Refusal::because(400, 'The type in "data" is not the type in "ref".', "$at/data/type");
    }
    return $type;
  }

  /**
   * Reads the translation that is meant.
   */
  private function langcode(array $ref, string $at): ?string {
    $langcode = $ref['langcode'] ?? NULL;
    if ($langcode !== NULL && (!is_string($langcode) || $langcode === '')) {
      throw Refusal::because(400, 'The language code must be a string.', "$at/ref/langcode");
    }
    return $langcode;
  }

  /**
   * Reads what the resource is known by.
   *
   * @return \Drupal\commerce_waybill_operations\Document\Identifier[]
   *   One for ref, and what data has beside it.
   */
  private function identifiers(Verb $verb, string $type, array $ref, array $resource, string $at): array {
    $found = [];
    if ($ref) {
      $identifier = $this->identifier($ref, "$at/ref");
      $found[$identifier->kind] = $identifier;
    }
    foreach (array_intersect_key($resource, [Identifier::ID => 1, Identifier::LID => 1]) as $kind => $value) {
      $value = $this->value($kind, $value, "$at/data");
      if (isset($found[$kind]) && $found[$kind]->value !== $value) {
        throw Refusal::because(400, "The $kind in \"ref\" does not match the $kind in \"data\".", "$at/data/$kind");
      }
      $found[$kind] = new Identifier($type, $kind, $value);
    }
    if (!$found && $verb !== Verb::Add) {
      throw Refusal::because(400, 'The operation must say which resource it is for.', "$at/ref");
    }
    // What is added can be referred to inside the batch, whatever it is called.
    $found[Identifier::LID] ??= new Identifier($type, Identifier::LID, "\0$at");
    return array_values($found);
  }

  /**
   * Reads one identifier.
   */
  private function identifier(array $data, string $at): Identifier {
    $kinds = array_values(array_intersect(self::KINDS, array_keys($data)));
    if (count($kinds) !== 1 || !is_string($data['type'] ?? NULL)) {
      throw Refusal::because(400, 'An identifier has a "type" and one of "id", "lid", "link" and "sku".', $at);
    }
    $meta = array_filter(
      $this->object($data, 'meta', $at),
      static fn (string|int $name): bool => $name !== 'arity' && !str_starts_with((string) $name, 'drupal_internal__'),
      ARRAY_FILTER_USE_KEY,
    );
    return new Identifier($data['type'], $kinds[0], $this->value($kinds[0], $data[$kinds[0]], $at), $meta);
  }

  /**
   * Reads the value of an identifier.
   */
  private function value(string $kind, mixed $value, string $at): string {
    if (!is_string($value) || $value === '') {
      throw Refusal::because(400, "The $kind must be a string.", "$at/$kind");
    }
    $value = $kind === Identifier::ID ? strtolower($value) : $value;
    if ($kind === Identifier::ID && !Uuid::isValid($value)) {
      throw Refusal::because(400, 'IDs should be properly generated and formatted UUIDs as described in RFC 4122.', "$at/$kind");
    }
    return $value;
  }

  /**
   * Reads the relationships.
   *
   * @return array<string, \Drupal\commerce_waybill_operations\Document\Identifier[]>
   *   What is referred to, by public field name.
   */
  private function relationships(array $data, string $at): array {
    $relationships = [];
    foreach ($data as $name => $relationship) {
      if (!is_array($relationship) || !array_key_exists('data', $relationship)) {
        throw Refusal::because(400, 'A relationship must have "data".', "$at/$name");
      }
      $relationships[$name] = $this->linkage($relationship['data'] ?? [], "$at/$name/data");
    }
    return $relationships;
  }

  /**
   * Reads what one relationship refers to.
   *
   * @return \Drupal\commerce_waybill_operations\Document\Identifier[]
   *   Without "virtual", which is how JSON:API writes the root of a hierarchy.
   */
  private function linkage(mixed $data, string $at): array {
    $identifiers = [];
    foreach (is_array($data) && array_is_list($data) ? $data : [$data] as $item) {
      if (!is_array($item)) {
        throw Refusal::because(400, 'A relationship refers to resource identifiers.', $at);
      }
      if (($item['id'] ?? NULL) !== 'virtual') {
        $identifiers[] = $this->identifier($item, $at);
      }
    }
    return $identifiers;
  }

}
