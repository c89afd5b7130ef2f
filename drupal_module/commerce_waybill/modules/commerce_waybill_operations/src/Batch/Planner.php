<?php

declare(strict_types=1);

namespace Drupal\commerce_waybill_operations\Batch;

use Drupal\commerce_waybill_operations\Document\Identifier;
use Drupal\commerce_waybill_operations\Document\Operation;
use Drupal\commerce_waybill_operations\Document\OperationNames;
use Drupal\commerce_waybill_operations\Document\Verb;
use Drupal\commerce_waybill_operations\Entity\Found;
use Drupal\commerce_waybill_operations\Entity\IdentityMap;

/**
 * Finds out which operations belong together, and in which order they can go.
 */
class Planner {

  public function __construct(
    private readonly OperationNames $names,
  ) {}

  /**
   * Groups operations on one entity, or on a product and its variations.
   *
   * @param \Drupal\commerce_waybill_operations\Document\Operation[] $operations
   *   All operations of a batch.
   *
   * @return \Drupal\commerce_waybill_operations\Document\Operation[][]
   *   Groups in the order of their first operation, but after the groups that
   *   add what they refer to.
   */
  public function groups(array $operations): array {
    $own = array_map($this->names->own(...), $operations);
    $owners = $this->owners($own);
    $group_of = array_keys($operations);
    foreach ($operations as $position => $operation) {
      foreach ([...$own[$position], ...$this->names->relatives($operation)] as $name) {
        foreach (array_slice($owners[$name] ?? [], 0, 1) as $other) {
          [$low, $high] = [min($group_of[$position], $group_of[$other]), max($group_of[$position], $group_of[$other])];
          $group_of = $low === $high ? $group_of : array_replace($group_of, array_fill_keys(array_keys($group_of, $high, TRUE), $low));
        }
      }
    }
    $members = [];
    foreach ($group_of as $position => $group) {
      $members[$group][] = $position;
    }
    $needs = [];
    foreach ($members as $group => $positions) {
      foreach ($positions as $position) {
        foreach ($this->ownersOf($this->names->referred($operations[$position]), $owners) as $other) {
          if ($operations[$other]->verb === Verb::Add) {
            $needs[$group][] = $group_of[$other];
          }
        }
      }
    }
    return array_map(
      static fn (int $group): array => array_map(static fn (int $position): Operation => $operations[$position], $members[$group]),
      self::sort(array_keys($members), $needs),
    );
  }

  /**
   * Lets a product drop variations that are removed in the same batch.
   *
   * @param \Drupal\commerce_waybill_operations\Document\Operation[][] $groups
   *   Groups of operations.
   * @param \Drupal\commerce_waybill_operations\Entity\IdentityMap $map
   *   What exists.
   *
   * @return \Drupal\commerce_waybill_operations\Document\Operation[][]
   *   The groups, a removal in that of its product if the product has a new
   *   list of variations.
   */
  public function merge(array $groups, IdentityMap $map): array {
    $products = [];
    foreach ($groups as $key => $group) {
      foreach ($group as $operation) {
        foreach ($this->mayDropVariations($operation) ? $this->found($operation, $map) : [] as $place) {
          $products[$place->key()] = $key;
        }
      }
    }
    foreach ($products ? $groups : [] as $key => $group) {
      $place = $group[0]->verb === Verb::Remove ? $this->found($group[0], $map)[0] ?? NULL : NULL;
      $product = $place ? $products[$place->family()] ?? $key : $key;
      if ($product !== $key) {
        array_push($groups[$product], ...$group);
        unset($groups[$key]);
      }
    }
    return array_values($groups);
  }

  /**
   * Plans a group, now that it is known what exists.
   *
   * @param \Drupal\commerce_waybill_operations\Document\Operation[] $group
   *   The operations.
   * @param \Drupal\commerce_waybill_operations\Entity\IdentityMap $map
   *   What exists.
   */
  public function settlement(array $group, IdentityMap $map): Settlement {
    $operations = array_column($this->adopt($group, $map), NULL, 'index');
    ksort($operations);
    $own = array_map($this->names->own(...), $operations);
    $owners = $this->owners($own);
    $needs = [];
    foreach ($operations as $index => $operation) {
      $needs[$index] = [
        ...array_filter(
          $this->ownersOf($this->names->referred($operation), $owners),
          fn (int $other): bool => $this->isNew($operations[$other], $map),
        ),
        ...array_filter(
          $this->ownersOf($own[$index], $owners),
          static fn (int $other): bool => $other < $index,
        ),
      ];
    }
    $order = self::sort(array_keys($operations), $needs);
    $locks = $places = [];
    $atomic = FALSE;
    foreach ($operations as $operation) {
      $locks = [...$locks, ...$this->locks($operation, $map)];
      $places = [...$places, ...$this->places($operation, $map)];
      $atomic = $atomic || $this->mayLeaveOrphans($operation);
    }
    return new Settlement(
      array_map(static fn (int $index): Operation => $operations[$index], $order),
      array_values(array_unique($locks)),
      $places,
      $atomic,
    );
  }

  /**
   * Lets a new product list the variations that name it as their product.
   *
   * A product is not valid without variations, and a variation needs its
   * product's id: so the variations come first, without it.
   *
   * @return \Drupal\commerce_waybill_operations\Document\Operation[]
   *   The operations with their relationships as they can be set.
   */
  private function adopt(array $group, IdentityMap $map): array {
    $products = [];
    foreach ($group as $key => $operation) {
      if ($this->names->entityTypeId($operation->type) === 'commerce_product' && $this->isNew($operation, $map)) {
        $products += array_fill_keys($this->names->own($operation), $key);
      }
    }
    foreach ($products ? $group : [] as $key => $operation) {
      $name = $this->names->relatives($operation)[0] ?? '';
      $parent = $products[$name] ?? NULL;
      if ($parent === NULL || $parent === $key || !$this->isNew($operation, $map)) {
        continue;
      }
      $group[$key] = $operation->with($operation->attributes, array_diff_key($operation->relationships, [$this->names->familyField($operation) => 1]));
      $group[$parent] = $this->withVariation($group[$parent], $operation);
    }
    return $group;
  }

  /**
   * Adds a variation to the list of a product, unless it is there.
   *
   * One that is refused does not take the product along: nobody listed it.
   */
  private function withVariation(Operation $product, Operation $variation): Operation {
    if (array_intersect($this->names->relatives($product), $this->names->own($variation))) {
      return $product;
    }
    $field = (string) $this->names->familyField($product);
    $listed = [...$product->relationships[$field] ?? [], $variation->known(Identifier::LID)->ifThere()];
    return $product->with($product->attributes, [$field => $listed] + $product->relationships);
  }

  /**
   * Whether an operation is going to create something.
   */
  private function isNew(Operation $operation, IdentityMap $map): bool {
    return $operation->verb === Verb::Add
      && $operation->langcode === NULL
      && !$this->found($operation, $map);
  }

  /**
   * Names what an operation must have for itself.
   *
   * @return string[]
   *   A product's family, another entity, or the name of what is not there yet.
   */
  private function locks(Operation $operation, IdentityMap $map): array {
    $locks = [];
    foreach ($this->names->targets($operation) as $name) {
      // A local id means nothing to another batch.
      if (explode(':', $name, 3)[1] !== Identifier::LID) {
        $locks[] = $map->find($name)?->family() ?? $name;
      }
    }
    foreach ($this->names->relatives($operation) as $name) {
      $locks[] = $map->find($name)?->family();
    }
    return array_filter($locks);
  }

  /**
   * Lists what an operation is going to need.
   *
   * @return \Drupal\commerce_waybill_operations\Entity\Found[]
   *   The entity itself, and its product: access to a variation and its title
   *   depend on it, and it is saved when it does not list the variation.
   */
  private function places(Operation $operation, IdentityMap $map): array {
    $found = $this->found($operation, $map);
    if ($this->names->entityTypeId($operation->type) === 'commerce_product_variation') {
      $found = [...$found, ...array_filter(array_map($map->find(...), $this->names->relatives($operation)))];
    }
    foreach ($found as $place) {
      if ($place->productId !== NULL) {
        $found[] = new Found('commerce_product', $place->productId);
      }
    }
    return $found;
  }

  /**
   * Finds what an operation is for.
   *
   * @return \Drupal\commerce_waybill_operations\Entity\Found[]
   *   Nothing, one entity, or by mistake several.
   */
  private function found(Operation $operation, IdentityMap $map): array {
    return array_values(array_filter(array_map($map->find(...), $this->names->targets($operation))));
  }

  /**
   * Whether an operation gives a product a list of variations.
   */
  private function mayDropVariations(Operation $operation): bool {
    return $this->names->entityTypeId($operation->type) === 'commerce_product'
      && isset($operation->relationships[$this->names->familyField($operation)]);
  }

  /**
   * Whether an operation can leave a variation without a product.
   */
  private function mayLeaveOrphans(Operation $operation): bool {
    $adds = $operation->verb === Verb::Add && $operation->langcode === NULL;
    return $this->mayDropVariations($operation)
      || ($adds && $this->names->entityTypeId($operation->type) === 'commerce_product_variation');
  }

  /**
   * Turns names by operation into operations by name.
   *
   * @return array<string, int[]>
   *   Keys of operations.
   */
  private function owners(array $own): array {
    $owners = [];
    foreach ($own as $key => $names) {
      foreach ($names as $name) {
        $owners[$name][] = $key;
      }
    }
    return $owners;
  }

  /**
   * Finds the operations on what some names mean.
   *
   * @return int[]
   *   Keys of operations.
   */
  private function ownersOf(array $names, array $owners): array {
    return array_merge(...array_map(static fn (string $name): array => $owners[$name] ?? [], $names));
  }

  /**
   * Sorts keys so that what is needed comes first; otherwise they stay.
   *
   * @param int[] $keys
   *   The keys.
   * @param array<int, int[]> $needs
   *   The keys that each needs.
   *
   * @return int[]
   *   The keys; two that need each other stay in their order.
   */
  private static function sort(array $keys, array $needs): array {
    $sorted = $seen = [];
    foreach ($keys as $key) {
      self::visit($key, $needs, $seen, $sorted);
    }
    return $sorted;
  }

  /**
   * Puts what a key needs on the list, and then the key.
   */
  private static function visit(int $key, array $needs, array &$seen, array &$sorted): void {
    if (!isset($seen[$key])) {
      $seen[$key] = TRUE;
      foreach ($needs[$key] ?? [] as $needed) {
        self::visit($needed, $needs, $seen, $sorted);
      }
      $sorted[] = $key;
    }
  }

}
