<?php

declare(strict_types=1);

namespace Drupal\commerce_waybill_operations\Entity;

use Drupal\commerce_waybill_operations\Error\ErrorObject;
use Drupal\commerce_waybill_operations\Error\Refusal;
use Drupal\Core\Field\FieldDefinitionInterface;
use Drupal\Core\Field\FieldItemListInterface;
use Drupal\Core\TypedData\PrimitiveInterface;
use Drupal\jsonapi\ResourceType\ResourceType;
use Drupal\serialization\Normalizer\SerializedColumnNormalizerTrait;
use Symfony\Component\Serializer\Exception\ExceptionInterface;
use Symfony\Component\Serializer\Normalizer\DenormalizerInterface;

/**
 * Turns an attribute of a resource object into field items.
 *
 * It takes what core's FieldNormalizer and FieldItemNormalizer take, without
 * creating an entity per value as they do.
 *
 * @see \Drupal\jsonapi\Normalizer\FieldItemNormalizer::denormalize()
 */
class FieldDecoder {

  use SerializedColumnNormalizerTrait;

  /**
   * Names of properties that hold serialized data, by field.
   *
   * @var array<string, string[]>
   */
  private array $serialized = [];

  public function __construct(
    private readonly DenormalizerInterface $serializer,
  ) {}

  /**
   * Decodes the value of an attribute.
   *
   * @param \Drupal\Core\Field\FieldItemListInterface $field
   *   The field that it is for.
   * @param \Drupal\jsonapi\ResourceType\ResourceType $type
   *   The resource type.
   * @param mixed $value
   *   The value as decoded from JSON.
   *
   * @return array
   *   Items to set.
   *
   * @throws \Drupal\commerce_waybill_operations\Error\Refusal
   *   With a pointer that starts below the attribute.
   */
  public function decode(FieldItemListInterface $field, ResourceType $type, mixed $value): array {
    $definition = $field->getFieldDefinition();
    $context = [
      'resource_type' => $type,
      'field_type' => $definition->getType(),
      'field_name' => $definition->getName(),
      'field_definition' => $definition,
    ];
    $serialized = $this->serialized[$type->getTypeName() . ':' . $definition->getName()]
      ??= $this->getSerializedPropertyNames((clone $field)->appendItem());
    $items = [];
    foreach ($this->isItemized($value) ? $value : [$value] as $item) {
      if ($item !== NULL) {
        $items[] = $this->item($definition, $item, $context, $serialized);
      }
    }
    return $items;
  }

  /**
   * Whether a value is a list of items rather than one item.
   */
  private function isItemized(mixed $value): bool {
    return is_array($value) && !array_filter(array_keys($value), 'is_string');
  }

  /**
   * Decodes one item.
   */
  private function item(FieldDefinitionInterface $definition, mixed $value, array $context, array $serialized): array {
    $item = $definition->getItemDefinition();
    $properties = $item->getPropertyDefinitions();
    if (!is_array($value)) {
      $main = $item->getMainPropertyName() ?? throw Refusal::because(422, sprintf('The field %s takes an object.', $definition->getName()));
      $value = [$main => $value];
    }
    if ($unknown = $properties ? array_diff_key($value, $properties) : []) {
      throw Refusal::because(422, sprintf(
        "The properties '%s' do not exist on the '%s' field of type '%s'. Writable properties are: '%s'.",
        implode("', '", array_keys($unknown)),
        $definition->getName(),
        $definition->getType(),
        implode("', '", array_keys(array_filter($properties, static fn ($property): bool => !$property->isReadOnly()))),
      ), ErrorObject::pointer(array_key_first($unknown)));
    }
    foreach ($value as $name => $part) {
      $value[$name] = $this->property($properties[$name] ?? NULL, $name, $part, $context, $serialized);
    }
    return $value;
  }

  /**
   * Decodes one property of an item.
   */
  private function property(mixed $property, string|int $name, mixed $value, array $context, array $serialized): mixed {
    if (in_array($name, $serialized, TRUE) && is_string($value)) {
      throw Refusal::because(422, "The property $name cannot be given as a string.", ErrorObject::pointer($name));
    }
    $class = $property?->getClass();
    if (!$class || $value === NULL) {
      return $value;
    }
    if (is_array($value) && is_a($class, PrimitiveInterface::class, TRUE)) {
      throw Refusal::because(422, $context['field_name'] . ".$name: This value should be of the correct primitive type.", ErrorObject::pointer($name));
    }
    try {
      return $this->serializer->supportsDenormalization($value, $class, 'api_json', $context)
        ? $this->serializer->denormalize($value, $class, 'api_json', $context)
        : $value;
    }
    catch (ExceptionInterface $exception) {
      throw Refusal::because(422, $exception->getMessage(), ErrorObject::pointer($name));
    }
  }

}
