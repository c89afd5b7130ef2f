<?php

declare(strict_types=1);

namespace Drupal\commerce_waybill_checkout\Stock;

use Drupal\commerce_product\Entity\ProductVariationInterface;
use Drupal\Component\Datetime\TimeInterface;
use Drupal\Core\Config\ConfigFactoryInterface;
use Drupal\Core\Config\ImmutableConfig;
use Drupal\Core\Database\Connection;
use Drupal\Core\Entity\EntityTypeManagerInterface;

/**
 * What of a variation may still be sold, by the declared policy.
 *
 * The synced number, less what was sold since, less what others are paying for
 * just now. No other system is asked.
 */
class SyncedStock {

  public function __construct(
    private readonly Connection $database,
    private readonly EntityTypeManagerInterface $entityTypeManager,
    private readonly ConfigFactoryInterface $configFactory,
    private readonly TimeInterface $time,
  ) {}

  /**
   * Whether the policy limits a variation at all.
   */
  public function isLimited(ProductVariationInterface $variation): bool {
    $field = (string) $this->settings()->get('stock_field');
    return $field !== '' && $this->settings()->get('oversell') !== 'allow'
      && $variation->hasField($field) && !$variation->get($field)->isEmpty();
  }

  /**
   * Says how many may still be sold.
   *
   * @param \Drupal\commerce_product\Entity\ProductVariationInterface $variation
   *   The variation.
   * @param int $except
   *   The order that asks: what it holds already is not taken from it.
   *
   * @return float|null
   *   The number, or NULL when there is no limit.
   */
  public function left(ProductVariationInterface $variation, int $except = 0): ?float {
    if (!$this->isLimited($variation)) {
      return NULL;
    }
    $settings = $this->settings();
    $as_of = $this->asOf($variation);
    if ($this->isStale($as_of) && $settings->get('when_stale') !== 'trust') {
      return $settings->get('when_stale') === 'allow' ? NULL : 0.0;
    }
    $beyond = $settings->get('oversell') === 'limit' ? (int) $settings->get('oversell_limit') : 0;
    $stock = (float) $variation->get($settings->get('stock_field'))->value;
    return $stock + $beyond - $this->taken((int) $variation->id(), $as_of, $except);
  }

  /**
   * Notes when the number of a variation that is being saved was changed.
   *
   * The last sync does not say it: a new price is a sync too, and sales before
   * it would be forgotten. Whoever knows better than "now" writes the field.
   */
  public function stamp(ProductVariationInterface $variation, ?ProductVariationInterface $original): void {
    $field = (string) $this->settings()->get('stock_field');
    if ($field === '' || !$variation->hasField($field) || $variation->get($field)->isEmpty()) {
      return;
    }
    $is_same = static fn (string $name): bool => (float) $variation->get($name)->value === (float) $original?->get($name)->value;
    $is_known = $original?->get($field)->isEmpty() === FALSE;
    if ($is_same('waybill_stock_at') && !($is_known && $is_same($field))) {
      $variation->set('waybill_stock_at', $this->time->getCurrentTime());
    }
  }

  /**
   * Gives the moment from which on orders are not in the number yet.
   */
  private function asOf(ProductVariationInterface $variation): int {
    // A number from before this module was installed is as old as its sync.
    return (int) ($variation->get('waybill_stock_at')->value ?? $variation->get('waybill_synced')->value ?? $variation->getChangedTime());
  }

  /**
   * Whether the number is older than may be.
   */
  private function isStale(int $as_of): bool {
    $minutes = (int) $this->settings()->get('stale_after');
    return $minutes > 0 && $this->time->getCurrentTime() - $as_of > 60 * $minutes;
  }

  /**
   * Counts what other orders bought since, and what they are paying for.
   *
   * One statement, because placing turns a reservation into a sale: two would
   * miss the goods of an order that is placed between them.
   */
  private function taken(int $variation, int $as_of, int $except): float {
    $sold = 'SELECT SUM(i.[quantity]) FROM {commerce_order_item} i INNER JOIN {commerce_order} o ON o.[order_id] = i.[order_id]'
      . ' WHERE i.[purchased_entity] = :variation AND i.[type] IN (:types[]) AND o.[order_id] <> :except'
      . " AND o.[placed] >= :as_of AND o.[state] NOT IN ('draft', 'canceled')";
    $reserved = 'SELECT SUM(r.[quantity]) FROM {commerce_waybill_reservation} r'
      . ' WHERE r.[variation_id] = :variation AND r.[order_id] <> :except AND r.[expires] > :now';
    return (float) $this->database->query("SELECT COALESCE(($sold), 0) + COALESCE(($reserved), 0)", [
      ':variation' => $variation,
      ':types[]' => $this->itemTypes(),
      ':except' => $except,
      ':as_of' => $as_of,
      ':now' => $this->time->getCurrentTime(),
    ])->fetchField();
  }

  /**
   * Lists the types of order items that sell variations.
   *
   * What other types sell has ids of its own.
   */
  private function itemTypes(): array {
    $storage = $this->entityTypeManager->getStorage('commerce_order_item_type');
    return array_keys($storage->loadByProperties(['purchasableEntityType' => 'commerce_product_variation'])) ?: [''];
  }

  /**
   * Gets the declared policy.
   */
  private function settings(): ImmutableConfig {
    return $this->configFactory->get('commerce_waybill_checkout.settings');
  }

}
