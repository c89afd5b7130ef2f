<?php

declare(strict_types=1);

namespace Drupal\commerce_waybill\Outbox;

use Drupal\Core\DestructableInterface;
use Symfony\Component\DependencyInjection\Attribute\AutowireServiceClosure;

/**
 * Delivers what this request recorded, after its response was sent.
 *
 * A net, not a promise: what is not delivered here stays in the outbox for
 * cron and Drush.
 */
class Flusher implements DestructableInterface {

  /**
   * Seconds that a finished request may go on for deliveries.
   */
  private const SECONDS = 10.0;

  /**
   * Ids of rows that this request recorded.
   *
   * @var int[]
   */
  private array $ids = [];

  public function __construct(
    #[AutowireServiceClosure(Deliverer::class)]
    private readonly \Closure $deliverer,
  ) {}

  /**
   * Remembers a recorded row.
   */
  public function note(int $id): void {
    $this->ids[] = $id;
  }

  /**
   * {@inheritdoc}
   */
  public function destruct(): void {
    [$ids, $this->ids] = [$this->ids, []];
    if ($ids) {
      ($this->deliverer)()->deliver($ids, self::SECONDS);
    }
  }

}
