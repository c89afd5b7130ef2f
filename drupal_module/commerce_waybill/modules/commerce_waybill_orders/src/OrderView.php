<?php

declare(strict_types=1);

namespace Drupal\commerce_waybill_orders;

use Drupal\commerce_order\Entity\OrderInterface;
use Drupal\commerce_waybill_orders\Action\SetReferences;
use Drupal\commerce_waybill_orders\Payment\Dispute;
use Drupal\commerce_waybill_orders\Payment\PaymentView;
use Drupal\commerce_waybill_orders\Shipment\Shipments;
use Drupal\Core\Entity\EntityTypeManagerInterface;

/**
 * Says how an order stands, for the middleware.
 */
class OrderView {

  public function __construct(
    private readonly EntityTypeManagerInterface $entityTypeManager,
    private readonly CustomerStatus $customerStatus,
    private readonly Hold $hold,
    private readonly Shipments $shipments,
  ) {}

  /**
   * Describes an order.
   */
  public function of(OrderInterface $order): array {
    $payments = $this->entityTypeManager->getStorage('commerce_payment')->loadMultipleByOrder($order);
    $synced = $order->get('waybill_synced')->value;
    return [
      'uuid' => $order->uuid(),
      'state' => $order->getState()->getId(),
      'version' => $order->getVersion(),
      'transitions' => array_keys($order->getState()->getTransitions()),
      'total' => PaymentView::amount($order->getTotalPrice()),
      'balance' => PaymentView::amount($order->getBalance()),
      'payments' => array_map(PaymentView::of(...), array_values($payments)),
      'dispute' => Dispute::of($order),
      'hold' => $this->hold->reason($order),
      'shipments' => $this->shipments->of($order),
      'references' => SetReferences::read($order) + [
        'synced' => $synced ? gmdate('Y-m-d\TH:i:sP', (int) $synced) : NULL,
        'run' => (string) $order->get('waybill_run')->value,
      ],
      'customer_status' => [
        'situation' => $this->customerStatus->situation($order),
        'text' => $this->customerStatus->text($order),
      ],
    ];
  }

  /**
   * Adds to the snapshot of an order what is not empty.
   */
  public function extend(array &$snapshot, OrderInterface $order): void {
    $snapshot += array_filter([
      'dispute' => Dispute::of($order),
      'hold' => $this->hold->reason($order),
      'shipments' => $this->shipments->of($order),
    ]);
  }

}
