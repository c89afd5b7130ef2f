<?php

declare(strict_types=1);

namespace Drupal\commerce_waybill_orders;

use Drupal\commerce_order\Entity\OrderInterface;
use Symfony\Component\HttpFoundation\JsonResponse;

/**
 * What a call is answered, and answered again when it is repeated.
 */
final class Answer {

  public function __construct(
    public readonly array $data,
    public readonly int $status = 200,
    public readonly bool $replayed = FALSE,
  ) {}

  /**
   * Says what became of an order.
   *
   * @param string $status
   *   Either "applied" or "unchanged".
   * @param \Drupal\commerce_order\Entity\OrderInterface $order
   *   The order as it is saved.
   * @param array $data
   *   What the action has to say.
   */
  public static function about(string $status, OrderInterface $order, array $data): self {
    return new self([
      'status' => $status,
      'order' => [
        'uuid' => $order->uuid(),
        'state' => $order->getState()->getId(),
        'version' => $order->getVersion(),
      ],
    ] + $data);
  }

  /**
   * Gives the response.
   */
  public function toResponse(): JsonResponse {
    return new JsonResponse($this->data, $this->status, $this->replayed ? ['Idempotent-Replayed' => 'true'] : []);
  }

}
