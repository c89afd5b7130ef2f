<?php

declare(strict_types=1);

namespace Drupal\commerce_waybill_operations\Batch;

use Drupal\commerce_waybill_operations\Document\Batch;
use Drupal\commerce_waybill_operations\Document\Mode;
use Drupal\commerce_waybill_operations\Entity\IdentityMap;
use Drupal\commerce_waybill_operations\Error\Refusal;

/**
 * Carries out a batch in its mode.
 */
class BatchRunner {

  /**
   * Operations that are locked and loaded at once in mode "each".
   */
  private const CHUNK = 50;

  public function __construct(
    private readonly Planner $planner,
    private readonly ChunkRunner $chunks,
    private readonly Settler $settler,
  ) {}

  /**
   * Carries out a batch.
   *
   * @return \Drupal\commerce_waybill_operations\Batch\Result[]
   *   One per operation, in order.
   *
   * @throws \Drupal\commerce_waybill_operations\Error\Refusal
   *   In mode "all" when an operation is refused; nothing was done then.
   */
  public function run(Batch $batch): array {
    $groups = $this->planner->groups($batch->operations);
    $results = $batch->mode === Mode::All ? $this->all($groups, $batch->run) : $this->each($groups, $batch->run);
    ksort($results);
    return $results;
  }

  /**
   * Carries out groups in one transaction.
   */
  private function all(array $groups, string $run): array {
    return $this->chunks->run(
      $groups,
      [],
      fn (array $settlements, IdentityMap $map, array $missing): array => $this->settler->all($settlements, $map, $missing, $run),
    );
  }

  /**
   * Carries out groups for themselves, a chunk at a time.
   */
  private function each(array $groups, string $run): array {
    $results = $given = [];
    foreach ($this->chunks($groups) as $chunk) {
      $work = function (array $settlements, IdentityMap $map, array $missing) use ($run, &$given): array {
        $done = $this->settler->each($settlements, $map, $missing, $run);
        $given = $map->given();
        return $done;
      };
      try {
        $results += $this->chunks->run($chunk, $given, $work);
      }
      catch (Refusal $refusal) {
        $results += Settler::refuse(array_merge(...$chunk), $refusal);
      }
    }
    return $results;
  }

  /**
   * Puts groups together to chunks; a group is never split.
   *
   * @return \Drupal\commerce_waybill_operations\Document\Operation[][][]
   *   Chunks of groups of operations.
   */
  private function chunks(array $groups): array {
    $chunks = [[]];
    $size = 0;
    foreach ($groups as $group) {
      if ($size && $size + count($group) > self::CHUNK) {
        $chunks[] = [];
        $size = 0;
      }
      $chunks[array_key_last($chunks)][] = $group;
      $size += count($group);
    }
    return $chunks;
  }

}
