<?php

declare(strict_types=1);

namespace Drupal\commerce_waybill_orders\Controller;

use Drupal\commerce_waybill_orders\Action\ApplyPayment;
use Drupal\commerce_waybill_orders\Action\ApplyShipments;
use Drupal\commerce_waybill_orders\Action\ApplyTransition;
use Drupal\commerce_waybill_orders\Action\ChangeHold;
use Drupal\commerce_waybill_orders\Action\SetReferences;
use Drupal\commerce_waybill_orders\Desk;
use Drupal\commerce_waybill_orders\Orders;
use Drupal\commerce_waybill_orders\OrderView;
use Drupal\commerce_waybill_orders\Refusal;
use Drupal\Core\DependencyInjection\AutowireTrait;
use Drupal\Core\DependencyInjection\ContainerInjectionInterface;
use Symfony\Component\HttpFoundation\JsonResponse;
use Symfony\Component\HttpFoundation\Request;

/**
 * What the middleware may ask of an order.
 */
class OrderController implements ContainerInjectionInterface {

  use AutowireTrait;

  public function __construct(
    private readonly Desk $desk,
    private readonly Orders $orders,
    private readonly OrderView $view,
    private readonly ApplyTransition $applyTransition,
    private readonly SetReferences $setReferences,
    private readonly ApplyShipments $applyShipments,
    private readonly ApplyPayment $applyPayment,
    private readonly ChangeHold $changeHold,
  ) {}

  /**
   * Says how an order stands.
   */
  public function read(string $uuid): JsonResponse {
    try {
      return new JsonResponse($this->view->of($this->orders->read($uuid)));
    }
    catch (Refusal $refusal) {
      return $refusal->toResponse();
    }
  }

  /**
   * Moves an order along its workflow.
   */
  public function transition(string $uuid, Request $request): JsonResponse {
    return $this->desk->take($request, $uuid, 'transition', $this->applyTransition);
  }

  /**
   * Notes what an order is called elsewhere.
   */
  public function references(string $uuid, Request $request): JsonResponse {
    return $this->desk->take($request, $uuid, 'references', $this->setReferences);
  }

  /**
   * Notes what was sent.
   */
  public function shipments(string $uuid, Request $request): JsonResponse {
    return $this->desk->take($request, $uuid, 'shipments', $this->applyShipments);
  }

  /**
   * Notes what a payment came to.
   */
  public function payments(string $uuid, Request $request): JsonResponse {
    return $this->desk->take($request, $uuid, 'payments', $this->applyPayment);
  }

  /**
   * Holds the fulfilment, or releases it.
   */
  public function hold(string $uuid, Request $request): JsonResponse {
    return $this->desk->take($request, $uuid, 'hold', $this->changeHold);
  }

}
