<?php

declare(strict_types=1);

namespace Drupal\commerce_waybill_orders;

use Drupal\commerce_order\Entity\OrderInterface;
use Drupal\commerce_order\OrderStorageInterface;
use Drupal\Core\Entity\EntityStorageException;
use Drupal\Core\Entity\EntityTypeManagerInterface;

/**
 * Finds orders, to read them or to change them under their lock.
 */
class Orders {

  public function __construct(private readonly EntityTypeManagerInterface $entityTypeManager) {}

  /**
   * Reads an order as it is stored, without a refresh.
   *
   * @throws \Drupal\commerce_waybill_orders\Refusal
   *   404 when there is none.
   */
  public function read(string $uuid): OrderInterface {
    return $this->storage()->loadUnchanged($this->id($uuid)) ?? throw $this->unknown($uuid);
  }

  /**
   * Loads an order under its lock.
   *
   * @throws \Drupal\commerce_waybill_orders\Refusal
   *   404 when there is none, 409 while somebody else has the lock.
   */
  public function lock(string $uuid): OrderInterface {
    $id = $this->id($uuid);
    try {
      $order = $this->storage()->loadForUpdate($id);
    }
    catch (EntityStorageException) {
      throw Refusal::busy();
    }
    if ($order === NULL) {
      $this->storage()->releaseLock($id);
      throw $this->unknown($uuid);
    }
    return $order;
  }

  /**
   * Gives the lock back, if saving has not done so.
   *
   * What was changed in memory only is forgotten.
   */
  public function release(OrderInterface $order): void {
    $this->storage()->releaseLock((int) $order->id());
    $this->storage()->resetCache([$order->id()]);
  }

  /**
   * Finds the id of an order.
   */
  private function id(string $uuid): int {
    $ids = $this->storage()->getQuery()->accessCheck(FALSE)->condition('uuid', $uuid)->execute();
    return $ids ? (int) reset($ids) : throw $this->unknown($uuid);
  }

  /**
   * No such order.
   */
  private function unknown(string $uuid): Refusal {
    return new Refusal(404, 'order_unknown', 'There is no order with this uuid.', '', ['uuid' => $uuid]);
  }

  /**
   * Gets the storage of orders.
   */
  private function storage(): OrderStorageInterface {
    return $this->entityTypeManager->getStorage('commerce_order');
  }

}
