<?php

/**
 * @file
 * What the module adds to placing an order: drush php:script drupal_place.php -- ORDERS.
 *
 * Places and pays orders with the module's subscribers and without, in turn, in
 * one process, and prints the milliseconds of each. Its orders are removed.
 */

declare(strict_types=1);

use Drupal\commerce_order\Entity\Order;
use Drupal\commerce_order\Entity\OrderItem;
use Drupal\commerce_payment\Entity\Payment;
use Drupal\commerce_payment\Entity\PaymentGateway;
use Drupal\commerce_price\Price;
use Drupal\commerce_store\Entity\Store;
use Drupal\commerce_waybill\EventSubscriber\OrderSubscriber;
use Drupal\commerce_waybill\EventSubscriber\PaymentSubscriber;

$orders = (int) ($extra[0] ?? 60);
$dispatcher = \Drupal::service('event_dispatcher');
$subscribers = array_map(\Drupal::service(...), [OrderSubscriber::class, PaymentSubscriber::class]);
$stores = Store::loadMultiple();
$store = reset($stores);
$ids = \Drupal::entityQuery('commerce_product_variation')->accessCheck(FALSE)->condition('status', 1)->range(0, 1)->execute();
$variation = \Drupal::entityTypeManager()->getStorage('commerce_product_variation')->load(reset($ids));
$gateways = PaymentGateway::loadMultiple();
$gateway = reset($gateways);

$place = static function () use ($store, $variation, $gateway): array {
  $item = OrderItem::create(['type' => 'default', 'purchased_entity' => $variation, 'quantity' => 1, 'unit_price' => new Price('10', $store->getDefaultCurrencyCode())]);
  $item->save();
  $order = Order::create(['type' => 'default', 'store_id' => $store->id(), 'mail' => 'bench@example.invalid', 'order_items' => [$item]]);
  $order->save();
  $began = hrtime(TRUE);
  $order->getState()->applyTransitionById('place');
  $order->save();
  Payment::create(['payment_gateway' => $gateway->id(), 'order_id' => $order->id(), 'amount' => $order->getTotalPrice(), 'state' => 'pending', 'type' => 'payment_manual'])->save();
  return [$order, (hrtime(TRUE) - $began) / 1e6];
};

$found = ['with' => [], 'without' => []];
$made = [];
for ($round = 0; $round < $orders + 5; $round++) {
  foreach ($round % 2 ? ['with', 'without'] : ['without', 'with'] as $how) {
    if ($how === 'without') {
      array_map($dispatcher->removeSubscriber(...), $subscribers);
    }
    [$order, $milliseconds] = $place();
    if ($how === 'without') {
      array_map($dispatcher->addSubscriber(...), $subscribers);
    }
    $made[] = $order;
    if ($round >= 5) {
      $found[$how][] = $milliseconds;
    }
  }
}
$recorded = (int) \Drupal::database()->query('SELECT COUNT(*) FROM {commerce_waybill_outbox} WHERE [order_id] IN (:ids[])', [
  ':ids[]' => array_map(static fn ($order): int => (int) $order->id(), $made),
])->fetchField();
\Drupal::database()->delete('commerce_waybill_outbox')->condition('order_id', array_map(static fn ($order): int => (int) $order->id(), $made), 'IN')->execute();
\Drupal::entityTypeManager()->getStorage('commerce_order')->delete($made);
echo json_encode($found + ['recorded' => $recorded, 'orders' => count($made)], JSON_THROW_ON_ERROR), "\n";
