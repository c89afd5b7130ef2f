<?php

declare(strict_types=1);

namespace Drupal\commerce_waybill_storefront;

use Drupal\commerce_waybill\Outbox\Outbox;
use Drupal\Component\Datetime\TimeInterface;
use Drupal\Core\Config\ConfigFactoryInterface;
use Drupal\Core\Entity\EntityTypeManagerInterface;
use Drupal\Core\KeyValueStore\KeyValueExpirableFactoryInterface;

/**
 * Finds carts that nobody touched for a while, and tells of each once.
 */
class AbandonedCarts {

  /**
   * Seconds within which a cart is found at all: older ones are history.
   */
  private const WINDOW = 7 * 86400;

  /**
   * How many carts one run of cron tells of.
   */
  private const LIMIT = 200;

  public function __construct(
    private readonly EntityTypeManagerInterface $entityTypeManager,
    private readonly Outbox $outbox,
    private readonly ConfigFactoryInterface $configFactory,
    private readonly KeyValueExpirableFactoryInterface $memory,
    private readonly TimeInterface $time,
  ) {}

  /**
   * Tells of carts that became abandoned.
   *
   * @return int
   *   How many it told of.
   */
  public function tell(): int {
    $told = $this->memory->get('commerce_waybill_storefront');
    $carts = $this->entityTypeManager->getStorage('commerce_order');
    $count = 0;
    foreach ($this->candidates() as $id) {
      // Once for each cart: coming back and leaving again is not told.
      if (!$told->setWithExpireIfNotExists("abandoned:$id", TRUE, 2 * self::WINDOW)) {
        continue;
      }
      $cart = $carts->loadUnchanged($id);
      $this->outbox->record('cart.abandoned', $cart, '', ['order' => $cart->uuid()]);
      $count++;
    }
    return $count;
  }

  /**
   * Lists ids of carts with something in them that rest long enough.
   *
   * @return int[]
   *   Order ids, the longest untouched first.
   */
  private function candidates(): array {
    $before = $this->time->getCurrentTime() - 3600 * (int) $this->configFactory->get('commerce_waybill_storefront.settings')->get('abandoned_after');
    return $this->entityTypeManager->getStorage('commerce_order')->getQuery()
      ->accessCheck(FALSE)
      ->condition('cart', TRUE)
      ->condition('state', 'draft')
      ->exists('order_items')
      ->condition('changed', [$before - self::WINDOW, $before], 'BETWEEN')
      ->sort('changed')
      ->range(0, self::LIMIT)
      ->execute();
  }

}
