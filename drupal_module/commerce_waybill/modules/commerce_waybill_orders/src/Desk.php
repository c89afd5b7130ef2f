<?php

declare(strict_types=1);

namespace Drupal\commerce_waybill_orders;

use Drupal\commerce_order\Entity\OrderInterface;
use Drupal\commerce_order\Exception\OrderVersionMismatchException;
use Drupal\commerce_waybill_orders\Action\ActionInterface;
use Drupal\commerce_waybill_orders\Action\Outcome;
use Drupal\Core\Database\IntegrityConstraintViolationException;
use Drupal\Core\Entity\EntityStorageException;
use Symfony\Component\HttpFoundation\JsonResponse;
use Symfony\Component\HttpFoundation\Request;

/**
 * Where every call on an order is taken: once, under the order's lock.
 */
class Desk {

  public function __construct(
    private readonly Orders $orders,
    private readonly Calls $calls,
    private readonly OrderSave $orderSave,
    private readonly Audit $audit,
  ) {}

  /**
   * Takes a call.
   *
   * @param \Symfony\Component\HttpFoundation\Request $request
   *   The request.
   * @param string $uuid
   *   The order's uuid.
   * @param string $operation
   *   What the route is called.
   * @param \Drupal\commerce_waybill_orders\Action\ActionInterface $action
   *   What the route does.
   */
  public function take(Request $request, string $uuid, string $operation, ActionInterface $action): JsonResponse {
    try {
      $call = Call::of($request, $operation, $uuid);
      $body = Body::of($request);
      $order = $this->orders->lock($uuid);
      try {
        $answer = $this->calls->answered($call) ?? $this->keep($call, $order, $action->apply($order, $body));
      }
      finally {
        $this->orders->release($order);
      }
    }
    catch (Refusal $refusal) {
      return $refusal->toResponse();
    }
    return $answer->toResponse();
  }

  /**
   * Keeps an outcome and its answer.
   */
  private function keep(Call $call, OrderInterface $order, Outcome $outcome): Answer {
    $id = (int) $order->id();
    $answer = Answer::about('unchanged', $order, $outcome->data);
    try {
      if (!$outcome->changed) {
        $this->calls->keep($call, $id, $answer);
        return $answer;
      }
      $effect = function () use ($order, $outcome): void {
        $outcome->effect?->__invoke();
        $this->audit->note($order, $outcome->log);
      };
      $seal = function () use ($call, $id, $order, $outcome, &$answer): void {
        $answer = Answer::about('applied', $order, $outcome->data);
        $this->calls->keep($call, $id, $answer);
      };
      $this->orderSave->save($order, $effect, $seal);
      return $answer;
    }
    catch (EntityStorageException | IntegrityConstraintViolationException $exception) {
      return $this->explain($call, $exception);
    }
  }

  /**
   * Says why nothing was saved.
   *
   * @throws \Exception
   *   What was thrown, when it is nobody's mistake.
   */
  private function explain(Call $call, \Exception $exception): Answer {
    for ($cause = $exception; $cause !== NULL; $cause = $cause->getPrevious()) {
      if ($cause instanceof Refusal) {
        throw $cause;
      }
      if ($cause instanceof OrderVersionMismatchException) {
        throw Refusal::busy();
      }
      if ($cause instanceof IntegrityConstraintViolationException) {
        // The same call was faster, with another lock.
        return $this->calls->answered($call) ?? throw $exception;
      }
    }
    throw $exception;
  }

}
