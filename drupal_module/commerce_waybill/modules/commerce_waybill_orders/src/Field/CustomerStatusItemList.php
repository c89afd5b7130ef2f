<?php

declare(strict_types=1);

namespace Drupal\commerce_waybill_orders\Field;

use Drupal\commerce_waybill_orders\CustomerStatus;
use Drupal\Core\Field\FieldItemList;
use Drupal\Core\TypedData\ComputedItemListTrait;

/**
 * The customer-safe status of an order as a field.
 */
class CustomerStatusItemList extends FieldItemList {

  use ComputedItemListTrait;

  /**
   * {@inheritdoc}
   */
  protected function computeValue(): void {
    $text = \Drupal::service(CustomerStatus::class)->text($this->getEntity());
    if ($text !== '') {
      $this->list[0] = $this->createItem(0, $text);
    }
  }

}
