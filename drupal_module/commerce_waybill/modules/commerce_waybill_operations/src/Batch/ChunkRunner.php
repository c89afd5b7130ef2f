<?php

declare(strict_types=1);

namespace Drupal\commerce_waybill_operations\Batch;

use Drupal\commerce_waybill_operations\Document\OperationNames;
use Drupal\commerce_waybill_operations\Entity\EntityFinder;
use Drupal\commerce_waybill_operations\Entity\IdentityMap;
use Drupal\commerce_waybill_operations\Error\Refusal;
use Drupal\Core\Cache\MemoryCache\MemoryCacheInterface;
use Drupal\Core\Config\ConfigFactoryInterface;
use Drupal\Core\Entity\EntityTypeManagerInterface;

/**
 * Finds, locks and loads what some operations need, and lets them work.
 */
class ChunkRunner {

  /**
   * How often it is planned anew because another batch was faster.
   */
  private const ATTEMPTS = 3;

  public function __construct(
    private readonly EntityTypeManagerInterface $entityTypeManager,
    private readonly ConfigFactoryInterface $configFactory,
    private readonly EntityFinder $finder,
    private readonly OperationNames $names,
    private readonly Planner $planner,
    private readonly FamilyLocks $locks,
    private readonly MemoryCacheInterface $memory,
  ) {}

  /**
   * Runs groups of operations under their locks.
   *
   * @param \Drupal\commerce_waybill_operations\Document\Operation[][] $groups
   *   The groups.
   * @param array<string, \Drupal\commerce_waybill_operations\Entity\Found> $given
   *   Names that earlier operations gave.
   * @param callable $work
   *   Takes the settlements, the identity map and the names of locks that
   *   others hold; gives anything.
   *
   * @return mixed
   *   What $work gives.
   *
   * @throws \Drupal\commerce_waybill_operations\Error\Refusal
   *   A retryable one, when other batches keep changing what exists.
   */
  public function run(array $groups, array $given, callable $work): mixed {
    $operations = array_merge(...$groups);
    $targets = array_unique(array_merge(...array_map($this->names->targets(...), $operations)));
    $referred = $this->finder->find(array_diff(array_merge(...array_map($this->names->referred(...), $operations)), $targets));
    $wait = (float) $this->configFactory->get('commerce_waybill_operations.settings')->get('lock_wait');
    for ($attempt = 0; $attempt < self::ATTEMPTS; $attempt++) {
      $found = $this->finder->find($targets);
      $map = new IdentityMap($this->entityTypeManager, $found + $referred + $given);
      $settlements = array_map(fn (array $group): Settlement => $this->planner->settlement($group, $map), $this->planner->merge($groups, $map));
      try {
        $missing = $this->locks->acquire(array_merge(...array_column($settlements, 'locks')), $wait);
        // Only now does nobody else create or delete what was looked for.
        if ($this->finder->find($targets) == $found) {
          $map->preload(array_merge(...array_column($settlements, 'places')));
          return $work($settlements, $map, $missing);
        }
      }
      finally {
        $this->locks->release();
        $this->memory->deleteAll();
      }
    }
    throw Refusal::retryable('Other batches are changing the same resources.');
  }

}
