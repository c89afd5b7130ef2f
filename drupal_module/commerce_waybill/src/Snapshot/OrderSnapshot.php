<?php

declare(strict_types=1);

namespace Drupal\commerce_waybill\Snapshot;

use Drupal\commerce_order\Adjustment;
use Drupal\commerce_order\Entity\OrderInterface;
use Drupal\commerce_order\Entity\OrderItemInterface;
use Drupal\commerce_payment\Entity\PaymentInterface;
use Drupal\commerce_price\Price;
use Drupal\commerce_product\Entity\ProductVariationInterface;
use Drupal\Core\Entity\EntityTypeManagerInterface;
use Drupal\Core\Extension\ModuleHandlerInterface;
use Drupal\Core\Language\LanguageManagerInterface;
use Drupal\profile\Entity\ProfileInterface;

/**
 * Says everything of an order as it is now, in the shape of the order event.
 *
 * Prices are the decimal texts that Commerce stores; nothing is computed.
 *
 * @see docs/contracts/events/order.schema.json
 */
class OrderSnapshot {

  private const ADDRESS = [
    'given_name',
    'family_name',
    'organization',
    'address_line1',
    'address_line2',
    'postal_code',
    'locality',
    'administrative_area',
    'country_code',
  ];

  public function __construct(
    private readonly EntityTypeManagerInterface $entityTypeManager,
    private readonly ModuleHandlerInterface $moduleHandler,
    private readonly LanguageManagerInterface $languageManager,
  ) {}

  /**
   * Reads an order from the database and describes it.
   *
   * @param int $order_id
   *   The order's id.
   *
   * @return array|null
   *   The order, or NULL when there is none.
   */
  public function of(int $order_id): ?array {
    $order = $this->entityTypeManager->getStorage('commerce_order')->loadUnchanged($order_id);
    if (!$order instanceof OrderInterface) {
      return NULL;
    }
    $shipping = $order->collectProfiles()['shipping'] ?? NULL;
    $total = $order->getTotalPrice() ?? new Price('0', $order->getStore()?->getDefaultCurrencyCode() ?? 'XXX');
    $snapshot = [
      'uuid' => $order->uuid(),
      'internal_id' => (string) $order->id(),
      'number' => $order->getOrderNumber(),
      'version' => $order->getVersion(),
      'state' => $order->getState()->getId(),
      'store' => ['uuid' => $order->getStore()?->uuid() ?? '', 'id' => (string) $order->getStoreId()],
      'currency' => $total->getCurrencyCode(),
      'mail' => $order->getEmail() ?? '',
      'language' => $this->language($order),
      'placed' => $this->instant($order->getPlacedTime()),
      'changed' => $this->instant($order->getChangedTime()),
      'items' => array_map($this->item(...), array_values($order->getItems())),
      'adjustments' => $this->adjustments($order->getAdjustments()),
      'total_price' => $this->price($total),
      'billing_profile' => $this->profile($order->getBillingProfile()),
      'shipping_profile' => $this->profile($shipping),
      'payments' => $this->payments($order),
    ];
    $this->moduleHandler->alter('commerce_waybill_snapshot', $snapshot, $order);
    return $snapshot;
  }

  /**
   * Describes the payments of an order, the first one first.
   */
  private function payments(OrderInterface $order): array {
    $payments = $this->entityTypeManager->getStorage('commerce_payment')->loadMultipleByOrder($order);
    return array_map(fn (PaymentInterface $payment): array => [
      'uuid' => $payment->uuid(),
      'gateway' => (string) $payment->getPaymentGatewayId(),
      'remote_id' => (string) $payment->getRemoteId(),
      'state' => $payment->getState()->getId(),
      'amount' => $this->price($payment->getAmount()),
      'refunded_amount' => $this->price($payment->getRefundedAmount() ?? new Price('0', $payment->getAmount()->getCurrencyCode())),
    ], array_values($payments));
  }

  /**
   * Describes one line of an order.
   */
  private function item(OrderItemInterface $item): array {
    $variation = $item->getPurchasedEntity();
    return [
      'uuid' => $item->uuid(),
      'sku' => $variation instanceof ProductVariationInterface ? (string) $variation->getSku() : $item->getTitle(),
      'title' => $item->getTitle(),
      'quantity' => $item->getQuantity(),
      'unit_price' => $this->price($item->getUnitPrice()),
      'total_price' => $this->price($item->getTotalPrice()),
      'adjustments' => $this->adjustments($item->getAdjustments()),
    ];
  }

  /**
   * Describes adjustments.
   *
   * @param \Drupal\commerce_order\Adjustment[] $adjustments
   *   The adjustments of an order or of a line.
   */
  private function adjustments(array $adjustments): array {
    return array_map(fn (Adjustment $adjustment): array => [
      'type' => $adjustment->getType(),
      'label' => (string) $adjustment->getLabel(),
      'amount' => $this->price($adjustment->getAmount()),
      'included' => $adjustment->isIncluded(),
    ], array_values($adjustments));
  }

  /**
   * Describes the address of a profile.
   */
  private function profile(?ProfileInterface $profile): ?array {
    if ($profile === NULL || !$profile->hasField('address') || $profile->get('address')->isEmpty()) {
      return NULL;
    }
    $address = $profile->get('address')->first()->getValue();
    return ['address' => array_map(static fn (string $name): string => (string) ($address[$name] ?? ''), array_combine(self::ADDRESS, self::ADDRESS))];
  }

  /**
   * Describes a price.
   */
  private function price(Price $price): array {
    return ['number' => $price->getNumber(), 'currency_code' => $price->getCurrencyCode()];
  }

  /**
   * Describes a Unix time.
   */
  private function instant(int|string|null $time): ?string {
    return $time ? gmdate('Y-m-d\TH:i:s+00:00', (int) $time) : NULL;
  }

  /**
   * Gives the language that the customer reads.
   */
  private function language(OrderInterface $order): string {
    $customer = $order->getCustomer();
    if ($customer && !$customer->isAnonymous()) {
      return $customer->getPreferredLangcode();
    }
    $language = $order->language();
    return ($language->isLocked() ? $this->languageManager->getDefaultLanguage() : $language)->getId();
  }

}
