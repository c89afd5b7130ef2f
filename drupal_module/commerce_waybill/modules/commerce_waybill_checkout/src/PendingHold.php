<?php

declare(strict_types=1);

namespace Drupal\commerce_waybill_checkout;

use Drupal\commerce_order\Entity\OrderInterface;
use Drupal\commerce_order\OrderStorageInterface;
use Drupal\Component\Datetime\TimeInterface;
use Drupal\Core\Config\ConfigFactoryInterface;
use Drupal\Core\Entity\EntityFieldManagerInterface;
use Drupal\Core\Entity\EntityStorageException;
use Drupal\Core\Entity\EntityTypeManagerInterface;
use Psr\Log\LoggerInterface;

/**
 * Holds new orders until the middleware says approve or reject.
 *
 * The hold itself, and what it stops, are those of the orders module.
 */
class PendingHold {

  /**
   * Why an order is held while no decision is there.
   */
  public const REASON = 'awaiting_decision';

  /**
   * How many overdue orders one run of cron releases.
   */
  private const LIMIT = 100;

  public function __construct(
    private readonly EntityTypeManagerInterface $entityTypeManager,
    private readonly EntityFieldManagerInterface $entityFieldManager,
    private readonly ConfigFactoryInterface $configFactory,
    private readonly TimeInterface $time,
    private readonly LoggerInterface $logger,
  ) {}

  /**
   * Whether orders can be held: the orders module brings the field.
   */
  public function isPossible(): bool {
    return isset($this->entityFieldManager->getBaseFieldDefinitions('commerce_order')['waybill_hold']);
  }

  /**
   * Holds an order that is being placed; its own save keeps the hold.
   */
  public function hold(OrderInterface $order): void {
    $wanted = $this->configFactory->get('commerce_waybill_checkout.settings')->get('hold_new_orders');
    if ($wanted && $this->isPossible() && $order->get('waybill_hold')->isEmpty()) {
      $order->set('waybill_hold', self::REASON);
    }
  }

  /**
   * Releases orders whose decision did not come in time, where declared so.
   */
  public function releaseOverdue(): void {
    $settings = $this->configFactory->get('commerce_waybill_checkout.settings');
    if ($settings->get('when_undecided') !== 'release' || !$this->isPossible()) {
      return;
    }
    $ids = $this->orders()->getQuery()
      ->accessCheck(FALSE)
      ->condition('waybill_hold', self::REASON)
      ->condition('placed', $this->time->getCurrentTime() - 60 * (int) $settings->get('hold_minutes'), '<')
      ->sort('placed')
      ->range(0, self::LIMIT)
      ->execute();
    foreach ($ids as $id) {
      try {
        $this->release((int) $id);
      }
      catch (EntityStorageException $exception) {
        // Somebody else changes it, or something refuses to: the next run
        // tries again, and this one goes on.
        $this->logger->warning('Order @id is still held: @why', ['@id' => $id, '@why' => $exception->getMessage()]);
      }
    }
  }

  /**
   * Releases one order, unless it was decided on while we waited for its lock.
   */
  private function release(int $id): void {
    $order = $this->orders()->loadForUpdate($id);
    if ($order?->get('waybill_hold')->value !== self::REASON) {
      $this->orders()->releaseLock($id);
      return;
    }
    // Saving gives the lock back.
    $order->set('waybill_hold', NULL)->setRefreshState(OrderInterface::REFRESH_SKIP)->save();
    $this->logger->notice('Order @id was released: no decision came in time.', ['@id' => $id]);
  }

  /**
   * Gets the storage of orders.
   */
  private function orders(): OrderStorageInterface {
    $storage = $this->entityTypeManager->getStorage('commerce_order');
    assert($storage instanceof OrderStorageInterface);
    return $storage;
  }

}
