<?php

declare(strict_types=1);

namespace Drupal\commerce_waybill_checkout\Stock;

use Drupal\commerce\Context;
use Drupal\commerce_order\AvailabilityCheckerInterface;
use Drupal\commerce_order\AvailabilityResult;
use Drupal\commerce_order\Entity\OrderItemInterface;
use Drupal\commerce_product\Entity\ProductVariationInterface;
use Drupal\Core\StringTranslation\StringTranslationTrait;

/**
 * Says in the cart and on the product page whether there is enough.
 */
class StockAvailability implements AvailabilityCheckerInterface {

  use StringTranslationTrait;

  public function __construct(private readonly SyncedStock $stock) {}

  /**
   * {@inheritdoc}
   */
  public function applies(OrderItemInterface $order_item): bool {
    if (!$order_item->getPurchasedEntity() instanceof ProductVariationInterface) {
      return FALSE;
    }
    // Commerce removes what is not available when it refreshes an order: what
    // is bought must stay.
    $order = $order_item->getOrder();
    return $order === NULL || $order->getState()->getId() === 'draft';
  }

  /**
   * {@inheritdoc}
   */
  public function check(OrderItemInterface $order_item, Context $context): AvailabilityResult {
    $left = $this->stock->left($order_item->getPurchasedEntity(), (int) $order_item->getOrder()?->id());
    if ($left === NULL || $left >= (float) $order_item->getQuantity()) {
      return AvailabilityResult::neutral();
    }
    return AvailabilityResult::unavailable($left >= 1
      ? $this->formatPlural((int) $left, 'Only one is left.', 'Only @count are left.')
      : $this->t('This is sold out.'));
  }

}
