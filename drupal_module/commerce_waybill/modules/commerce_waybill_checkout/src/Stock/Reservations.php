<?php

declare(strict_types=1);

namespace Drupal\commerce_waybill_checkout\Stock;

use Drupal\commerce_order\Entity\OrderInterface;
use Drupal\commerce_product\Entity\ProductVariationInterface;
use Drupal\Component\Datetime\TimeInterface;
use Drupal\Core\Config\ConfigFactoryInterface;
use Drupal\Core\Database\Connection;
use Drupal\Core\Entity\EntityTypeManagerInterface;
use Drupal\Core\Lock\LockBackendInterface;

/**
 * Keeps goods for customers while they pay, so that two cannot buy the last.
 */
class Reservations {

  public const TABLE = 'commerce_waybill_reservation';

  /**
   * Seconds that a customer waits for others who want the same.
   */
  private const PATIENCE = 5;

  public function __construct(
    private readonly Connection $database,
    private readonly SyncedStock $stock,
    private readonly EntityTypeManagerInterface $entityTypeManager,
    private readonly LockBackendInterface $lock,
    private readonly ConfigFactoryInterface $configFactory,
    private readonly TimeInterface $time,
  ) {}

  /**
   * Reserves everything of an order, or nothing.
   *
   * @return string[]|null
   *   Labels of what there is not enough of, empty when it is reserved; NULL
   *   when too many others want the same just now to say.
   */
  public function reserve(OrderInterface $order): ?array {
    $wanted = $this->wanted($order);
    $held = [];
    $waited = 0;
    try {
      // In the order of their ids, so that two carts with the same goods never
      // wait for each other in a circle.
      foreach (array_keys($wanted) as $id) {
        $name = "commerce_waybill_stock:$id";
        while (!$this->lock->acquire($name, 30.0)) {
          if ($waited++ >= self::PATIENCE) {
            return NULL;
          }
          $this->lock->wait($name, 1);
        }
        $held[] = $name;
      }
      $missing = $this->missing($order, $wanted);
      if (!$missing) {
        $this->write($order, $wanted);
      }
      return $missing;
    }
    finally {
      array_map($this->lock->release(...), $held);
    }
  }

  /**
   * Gives back what an order reserved.
   */
  public function release(OrderInterface $order): void {
    $this->database->delete(self::TABLE)->condition('order_id', $order->id())->execute();
  }

  /**
   * Forgets reservations that ran out.
   */
  public function purge(): void {
    $this->database->delete(self::TABLE)->condition('expires', $this->time->getCurrentTime(), '<=')->execute();
  }

  /**
   * Names the goods that there is not enough of.
   */
  private function missing(OrderInterface $order, array $wanted): array {
    $variations = $this->entityTypeManager->getStorage('commerce_product_variation');
    $missing = [];
    foreach ($wanted as $id => $one) {
      // As it is stored now: this request may have loaded it long ago.
      $variation = $variations->loadUnchanged($id);
      $left = $variation instanceof ProductVariationInterface ? $this->stock->left($variation, (int) $order->id()) : 0.0;
      if ($left !== NULL && $left < $one['quantity']) {
        $missing[] = $one['label'];
      }
    }
    return $missing;
  }

  /**
   * Replaces the reservation of an order.
   */
  private function write(OrderInterface $order, array $wanted): void {
    $this->release($order);
    $minutes = (int) $this->configFactory->get('commerce_waybill_checkout.settings')->get('reserve_minutes');
    $expires = $this->time->getCurrentTime() + 60 * $minutes;
    $insert = $this->database->insert(self::TABLE)->fields(['order_id', 'variation_id', 'quantity', 'expires']);
    foreach ($wanted as $id => $one) {
      $insert->values([$order->id(), $id, $one['quantity'], $expires]);
    }
    // One statement for all goods: they are reserved together or not at all.
    $insert->execute();
  }

  /**
   * Sums an order's quantities of limited goods by variation, in id order.
   *
   * @return array<int, array{quantity: float, label: string}>
   *   What is wanted.
   */
  private function wanted(OrderInterface $order): array {
    $wanted = [];
    foreach ($order->getItems() as $item) {
      $variation = $item->getPurchasedEntity();
      if ($variation instanceof ProductVariationInterface && $this->stock->isLimited($variation)) {
        $id = (int) $variation->id();
        $wanted[$id] ??= ['quantity' => 0.0, 'label' => (string) $item->label()];
        $wanted[$id]['quantity'] += (float) $item->getQuantity();
      }
    }
    ksort($wanted);
    return $wanted;
  }

}
